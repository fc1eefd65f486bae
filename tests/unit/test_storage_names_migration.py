"""Block devices keep their names, and jobs that were under way their values, when `rbd_name` gets neutral names."""

import pytest
from peewee import IntegrityError

from service.db.engine.database import bind, transaction, unit_of_work
from service.db.engine.migrate import migrate
from service.db.tables import TABLES, Image, Volume
from service.jobs import job_tables
from service.jobs.codec import decode
from service.jobs.job_tables import Job, JobStep, JobUndo
from storage.refs import ImageRef, VolumeRef
from tests.older_database import SIZE, older_database

VOLUME = VolumeRef("vms", "volume-d")


@pytest.fixture
def migrated(new_database, tmp_path):
    """Rows from before the migration, brought to today's schema."""
    db = older_database(new_database("a"), tmp_path / "migrations")
    migrate(db)
    bind(db, (*TABLES, *job_tables.TABLES))
    return db


def test_images_and_volumes_keep_their_names_in_the_storage(migrated):
    with unit_of_work(migrated):
        assert [(row.pool, row.storage_name, row.size_bytes) for row in Image.select()] == [("images", "image-i", SIZE)]
        (volume,) = Volume.select()
        assert (volume.pool, volume.storage_name, volume.name, volume.image_id) == ("vms", "volume-d", "data", "i")


def test_a_name_in_the_storage_is_still_unique(migrated):
    with unit_of_work(migrated):
        twin = {**Volume.get().__data__, "id": "other", "name": "other"}
    with pytest.raises(IntegrityError), transaction(migrated):
        Volume.insert(twin).execute()


def test_no_index_has_the_old_name(migrated):
    with unit_of_work(migrated):
        names = {index.name for table in ("image", "volume") for index in migrated.get_indexes(table)}
    assert {"image_storage_name", "volume_storage_name"} <= names
    assert not [name for name in names if "rbd" in name]


def test_a_job_that_was_under_way_reads_its_arguments_results_and_undo(migrated):
    with unit_of_work(migrated):
        assert decode(Job.get().args) == {"volume": VOLUME}
        assert decode(JobUndo.get().args) == [VOLUME, 7]
        steps = {step.name: decode(step.result) for step in JobStep.select()}
    assert steps["clone"] == (VOLUME, ImageRef("images", "image-i"))
    assert steps["wait"] is None


def test_an_adoption_that_has_looked_at_its_domain_reads_the_disks(migrated):
    with unit_of_work(migrated):
        found = JobStep.get(JobStep.name == "look").result
    assert [disk["volume"] for disk in found["disks"]] == [{"pool": "vms", "name": "theirs"}, None]
    assert {tuple(sorted(disk)) for disk in found["disks"]} == {("bus", "device", "target", "volume")}
    assert (found["vm_id"], found["sizes"]) == ("v", {"vda": SIZE})
