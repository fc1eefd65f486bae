"""Backup while jobs run, and restore into a world that has gone on since: on both databases."""

import io
import json
import shutil
import stat
import tarfile
import threading
from pathlib import Path

import pytest

from service.db.engine import dump
from service.db.engine.database import open_database, transaction, unit_of_work
from service.db.engine.migrate import MIGRATIONS, migrate
from service.db.tables import Allocation, Host, Image, Vm, Volume
from service.errors import ConflictError, InvalidError
from service.jobs.codec import decode
from service.jobs.job_tables import Job, JobStep, JobUndo
from service.operations.secret_key import secret_key
from service.operations.upkeep.back_up import back_up
from service.operations.upkeep.restore import restore
from storage.refs import ImageRef, VolumeRef
from tests.api.world import Cloud
from tests.older_database import older_database
from tests.postgres import name_in


@pytest.fixture(scope="module")
def furnished_postgres(tmp_path_factory, schema, postgres, postgres_schema):
    """A furnished cloud whose database is to be copied."""
    db = open_database(postgres.new(postgres_schema))
    cloud = Cloud(tmp_path_factory.mktemp("furnished"), schema, db).make_tokens().furnish()
    db.close_kept()
    return cloud


@pytest.fixture
def here(tmp_path, schema, product, request):
    """A furnished cloud on each product, as the service opens it."""
    if product == "sqlite":
        model, file = request.getfixturevalue("furnished")
        db = open_database(f"sqlite:///{tmp_path / 'state' / 'nacre.db'}")
        yield Cloud(tmp_path, file, db).like(model)
        db.close_kept()
        return
    server, model = request.getfixturevalue("postgres"), request.getfixturevalue("furnished_postgres")
    url = server.new(name_in(model.db.conninfo))
    yield Cloud(tmp_path, schema, open_database(url)).like(model)
    server.drop(url)


def backed_up(cloud: Cloud) -> Path:
    file = cloud.settings.state_dir.parent / "backup"
    settings_file = cloud.settings.state_dir.parent / "settings.toml"
    settings_file.write_text("max_wait_s = 7\n")
    secret_key(cloud.settings.secret_key_path)
    back_up(cloud.settings, cloud.db, file, now=cloud.clock.now(), settings_file=settings_file)
    return file


def put_back(cloud: Cloud, file: Path, *, unreachable_hosts_are_off: bool = False):
    cloud.db.close_kept()
    return restore(cloud.ctx, file, unreachable_hosts_are_off=unreachable_hosts_are_off)


def go_on(cloud: Cloud) -> None:
    """What the service does by itself once it is started again."""
    migrate(cloud.db)
    for _ in range(2):
        cloud.observe()
        cloud.round("restore_vms")
        cloud.settle()


def test_what_is_restored_is_what_was_backed_up(here):
    here.make_vm("web")
    key = here.settings.secret_key_path
    file = backed_up(here)
    secret = key.read_bytes()
    key.write_bytes(b"another")
    here.flavor("large")
    restored = put_back(here, file)
    assert [one["name"] for one in here.api.get("/v1/flavors").json()["items"]] == ["small"]
    assert here.vm("web")["observed_state"] == "running"
    assert key.read_bytes() == secret
    assert (restored.reconciled.moved, restored.reconciled.stopped, restored.reconciled.unknown) == ((), (), ())
    go_on(here)
    here.assert_clean(vms=1)


def test_the_file_is_for_its_owner_only_and_says_what_it_is(here):
    file = backed_up(here)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as archive:
        assert archive.getnames() == ["manifest.json", "database", "secret.key", "settings.toml"]
        manifest = json.loads(archive.extractfile("manifest.json").read())
    assert manifest["migrations"] == dump.applied_migrations(here.db)
    assert not list(file.parent.glob(".backup*"))


def test_a_backup_under_load_is_of_one_moment(here):
    """Writers keep two counters equal; in every backup they are."""
    with transaction(here.db):
        here.db.execute_sql("CREATE TABLE pair (a INTEGER, b INTEGER)")
        here.db.execute_sql("INSERT INTO pair VALUES (0, 0)")
    stop = threading.Event()

    def write():
        while not stop.is_set():
            with transaction(here.db):
                here.db.execute_sql("UPDATE pair SET a = a + 1")
                here.db.execute_sql("UPDATE pair SET b = b + 1")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        files = [backed_up(here).rename(here.settings.state_dir.parent / f"backup-{n}") for n in range(4)]
    finally:
        stop.set()
        writer.join()
    for file in files:
        put_back(here, file)
        with unit_of_work(here.db):
            a, b = here.db.execute_sql("SELECT a, b FROM pair").fetchone()
        assert a == b


def test_a_vm_that_moved_since_runs_once_and_where_it_is(here):
    before = here.make_vm("web")["host"]
    file = backed_up(here)
    here.observe()
    here.done(here.api.post("/v1/vms/web/migrate"))
    domains = here.domains()
    restored = put_back(here, file)
    assert restored.reconciled.moved == ("web",)
    go_on(here)
    assert here.domains() == domains
    assert here.vm("web")["host"] != before
    here.assert_clean(vms=1)


def test_a_vm_that_was_stopped_since_is_started_again_because_the_backup_wants_it(here):
    here.make_vm("web")
    file = backed_up(here)
    here.done(here.api.post("/v1/vms/web/force-off"))
    assert put_back(here, file).reconciled.stopped == ("web",)
    go_on(here)
    assert here.vm("web")["observed_state"] == "running"
    here.assert_clean(vms=1)


def test_a_vm_that_was_started_since_is_known_to_run(here):
    here.make_vm("web")
    here.done(here.api.post("/v1/vms/web/force-off"))
    file = backed_up(here)
    here.observe()
    here.done(here.api.post("/v1/vms/web/start"))
    assert put_back(here, file).reconciled.moved == ("web",)
    go_on(here)
    assert (here.vm("web")["observed_state"], here.vm("web")["desired_state"]) == ("running", "running")
    here.assert_clean(vms=1)


def test_a_vm_that_was_made_since_is_told_and_left_alone(here):
    file = backed_up(here)
    here.make_vm("web")
    domains = here.domains()
    (unknown,) = put_back(here, file).reconciled.unknown
    assert unknown.split(" on ")[0] in {vm_id for _, vm_id in domains}
    go_on(here)
    assert here.domains() == domains


def test_what_was_under_way_is_neither_gone_on_with_nor_taken_back(here):
    """The backup is made in the middle of a create. The VM comes to be, and lives, before the restore."""
    files = []
    here.hook = lambda moment: files.append(backed_up(here)) if moment == "after clone" and not files else None
    here.make_vm("web")
    here.hook = lambda moment: None
    volumes, domains = set(here.storage.volumes("vms")), here.domains()
    restored = put_back(here, files[0])
    assert [text.split()[0] for text in restored.reconciled.ended_jobs] == ["create_vm"]
    go_on(here)
    assert (set(here.storage.volumes("vms")), here.domains()) == (volumes, domains)
    assert here.vm("web")["observed_state"] == "running"
    (job,) = [row for row in here.rows(Job) if row.kind == "create_vm"]
    assert (job.state, job.error_code) == ("failed", "job.restored")
    assert not here.rows(JobUndo)


def test_a_vm_that_was_half_made_and_is_nowhere_is_not_started_by_itself(here):
    files = []
    here.hook = lambda moment: files.append(backed_up(here)) if moment == "after clone" and not files else None
    here.make_vm("web")
    here.hook = lambda moment: None
    here.done(here.api.delete("/v1/vms/web"))
    put_back(here, files[0])
    go_on(here)
    assert (here.vm("web")["observed_state"], here.domains()) == ("stopped", set())
    here.done(here.api.delete("/v1/vms/web"))
    here.assert_clean(vms=0)


def test_a_move_that_was_under_way_is_settled_by_where_the_vm_is(here):
    here.make_vm("web")
    files = []
    here.hook = lambda moment: files.append(backed_up(here)) if moment == "before migrate" and not files else None
    here.observe()
    here.done(here.api.post("/v1/vms/web/migrate"))
    here.hook = lambda moment: None
    assert put_back(here, files[0]).reconciled.moved == ("web",)
    assert len(here.rows(Allocation)) == 1
    go_on(here)
    here.assert_clean(vms=1)


def test_with_a_silent_host_the_service_does_not_start_until_somebody_says_that_it_is_off(here):
    vm = here.make_vm("web")
    file = backed_up(here)
    here.host(vm["host"]).reachable = False
    with pytest.raises(ConflictError) as refused:
        put_back(here, file)
    assert refused.value.code == "restore.host_unreachable"
    with pytest.raises(ConflictError) as refused:
        migrate(here.db)
    assert refused.value.code == "restore.unfinished"
    restored = put_back(here, file, unreachable_hosts_are_off=True)
    assert restored.reconciled.silent == (vm["host"],)
    assert restored.reconciled.stopped == ("web",)
    migrate(here.db)


def test_a_vm_that_runs_on_two_hosts_stops_the_restore(here):
    here.make_vm("web")
    file = backed_up(here)
    (first, vm_id) = next(iter(here.domains()))
    other = next(row.name for row in here.rows(Host) if row.name != first)
    here.host(other).domains[vm_id] = here.host(first).domains[vm_id]
    with pytest.raises(ConflictError) as refused:
        put_back(here, file)
    assert refused.value.code == "restore.vm_twice"


def test_a_restore_refuses_while_the_service_runs(here, product):
    file = backed_up(here)
    url = f"sqlite:///{here.db.database}" if product == "sqlite" else f"postgresql:///?{_query(here.db.conninfo)}"
    running = open_database(url)
    with unit_of_work(running):
        running.execute_sql("SELECT count(*) FROM vm")
    with pytest.raises(ConflictError) as refused:
        put_back(here, file)
    assert refused.value.code == "restore.in_use"
    migrate(here.db)
    running.close_kept()
    put_back(here, file)


def _query(conninfo: str) -> str:
    words = dict(word.split("=", 1) for word in conninfo.split(" ") if word.startswith(("host=", "user=", "dbname=")))
    return "&".join(f"{key}={value}" for key, value in words.items())


def test_a_backup_of_a_newer_version_is_refused(here):
    with transaction(here.db):
        here.db.execute_sql("INSERT INTO schema_migration (name, applied) VALUES ('9999_future', '2031-01-01')")
    file = backed_up(here)
    with transaction(here.db):
        here.db.execute_sql("DELETE FROM schema_migration WHERE name = '9999_future'")
    with pytest.raises(ConflictError) as refused:
        put_back(here, file)
    assert refused.value.code == "restore.newer"
    migrate(here.db)


@pytest.mark.parametrize("how", ["no archive", "cut short", "a byte changed", "no manifest", "another format"])
def test_a_damaged_backup_is_refused_and_changes_nothing(here, how):
    file = backed_up(here)
    here.flavor("large")
    file.write_bytes(damaged(file.read_bytes(), how))
    with pytest.raises(InvalidError) as refused:
        put_back(here, file)
    assert refused.value.code == "restore.invalid"
    assert here.api.get("/v1/flavors/large").status_code == 200
    migrate(here.db)


def damaged(data: bytes, how: str) -> bytes:
    middle = len(data) // 2
    if how == "no archive":
        return b"x" * 4096
    if how == "cut short":
        return data[:middle]
    if how == "a byte changed":
        return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    if how == "another format":
        return data.replace(b'"format": 1', b'"format": 2')
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("database"))
    return out.getvalue()


def test_a_backup_of_the_other_product_is_refused(here, product):
    file = backed_up(here)
    other = {"sqlite": "postgresql", "postgresql": "sqlite"}[product]
    with tarfile.open(file) as archive:
        parts = {name: archive.extractfile(name).read() for name in archive.getnames()}
    parts["manifest.json"] = parts["manifest.json"].replace(f'"{product}"'.encode(), f'"{other}"'.encode())
    with tarfile.open(file, "w") as archive:
        for name, data in parts.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    with pytest.raises(ConflictError) as refused:
        put_back(here, file)
    assert refused.value.code == "restore.product"


def test_a_backup_of_an_older_schema_is_brought_to_this_version(here, tmp_path, new_database):
    older = tmp_path / "migrations"
    older.mkdir()
    for path in sorted(MIGRATIONS.glob("[0-9]*.py"))[:2]:
        shutil.copy(path, older)
    old = open_database(new_database("old"))
    migrate(old, older)
    file = tmp_path / "backup"
    back_up(here.settings, old, file, now=here.clock.now(), settings_file=tmp_path / "none")
    put_back(here, file)
    assert migrate(here.db) == ()
    assert here.rows(Vm) == []


def test_a_backup_with_old_names_of_block_devices_is_restored_and_migrated(here, tmp_path, new_database):
    old = older_database(new_database("old"), tmp_path / "migrations")
    file = tmp_path / "backup"
    back_up(here.settings, old, file, now=here.clock.now(), settings_file=tmp_path / "none")
    restored = put_back(here, file)
    assert restored.reconciled.ended_jobs == ("adopt_vm j",)
    assert migrate(here.db) == ()
    assert [(row.pool, row.storage_name) for row in here.rows(Volume)] == [("vms", "volume-d")]
    assert [(row.pool, row.storage_name) for row in here.rows(Image)] == [("images", "image-i")]
    results = [decode(row.result) for row in here.rows(JobStep) if row.name == "clone"]
    assert results == [(VolumeRef("vms", "volume-d"), ImageRef("images", "image-i"))]
