"""A worker that dies at any moment: each create, move, stop and delete ends once or not at all, and all tell one story.

The moments are before and after every commit and every call to a hypervisor or the storage. What comes after is the
same process started again, which puts its leases back, or another one, which waits until the lease is over.
"""

import pytest

from service.db.tables import Audit
from service.jobs.job_tables import Job
from tests.api.world import BOOT, Cloud
from tests.mortal import Crash, Doom
from tests.mortal import mortal as mortal_database

LEASE_S = 15.0


class Mortal:
    """A cloud whose worker dies on demand."""

    def __init__(self, folder, database, model, url: str | None) -> None:
        self.doom = Doom()
        db = mortal_database(url or f"sqlite:///{folder}/state/nacre.db", self.doom)
        self.cloud = Cloud(folder, database, db, facts_max_age_s=1e6).like(model)
        self.cloud.hook = lambda _: self.doom.moment()

    def moments(self, answer) -> int:
        """How many there are when nothing dies."""
        self.doom.passed = 0
        self.work("w")
        return self.doom.passed

    def die(self, answer, at: list[int], *, same: bool) -> str:
        """Work on the accepted job, dying at these moments; returns the state it ends in."""
        assert answer.status_code == 202, answer.text
        self.doom.countdown, self.doom.passed = list(at), 0
        worker_id = "w0"
        while self.doom.countdown and self.work(worker_id):
            self.cloud.clock.elapsed_s += 0 if same else LEASE_S
            worker_id = "w0" if same else f"{worker_id}x"
        self.doom.countdown = []
        self.cloud.worker = self.cloud.new_worker(worker_id, lease_s=LEASE_S)
        self.cloud.worker.release_leases()
        self.cloud.settle()
        self.cloud.worker = self.cloud.new_worker("w")
        return self.cloud.job(answer)["state"]

    def work(self, worker_id: str) -> bool:
        """A process's life; True when it died."""
        try:
            worker = self.cloud.new_worker(worker_id, lease_s=LEASE_S)
            worker.release_leases()
            while worker.run_next():
                pass
        except Crash:
            if not self.cloud.db.is_closed():
                self.cloud.db.close()
            return True
        return False


@pytest.fixture
def mortal(tmp_path, furnished, furnished_copy) -> Mortal:
    model, database = furnished
    return Mortal(tmp_path, database, model, furnished_copy)


def deaths(moments: int, every: int = 1) -> list[tuple[list[int], bool]]:
    """Moments to die at, by turns with the same process coming back; and a few lives that end twice or three times."""
    once = [([number], bool(number // every % 2)) for number in range(1, moments + 1, every)]
    again = [([number, number % 5 + 1], not number % 2) for number in range(2, moments, 4 * every)]
    return [*once, *again, ([moments // 2, 3, 4], True)]


def test_a_create_ends_once_or_not_at_all(mortal):
    cloud = mortal.cloud
    moments = mortal.moments(cloud.create("first"))
    assert moments > 15
    cloud.done(cloud.api.delete("/v1/vms/first"))
    for number, (at, same) in enumerate(deaths(moments)):
        assert mortal.die(cloud.create(f"vm-{number}"), at, same=same) == "succeeded", at
        assert cloud.vm(f"vm-{number}")["observed_state"] == "running"
        cloud.assert_clean(vms=1)
        cloud.done(cloud.api.delete(f"/v1/vms/vm-{number}"))


def test_a_create_that_is_refused_is_undone_whatever_dies(mortal):
    cloud = mortal.cloud
    for name in ("host1", "host2"):
        cloud.host(name).refuses = "no"
    moments = mortal.moments(cloud.create("first"))
    for number, (at, same) in enumerate(deaths(moments, 3)):
        assert mortal.die(cloud.create(f"vm-{number}"), at, same=same) == "failed", at
        cloud.assert_clean(vms=0)


def test_a_cancelled_create_is_done_or_undone_whatever_dies(mortal):
    cloud = mortal.cloud
    moments = mortal.moments(cloud.create("first"))
    cloud.done(cloud.api.delete("/v1/vms/first"))
    for number, at in enumerate(range(1, moments, 3)):
        answer = cloud.create(f"vm-{number}")
        mortal.doom.countdown, mortal.doom.passed = [at], 0
        assert mortal.work("w0"), at
        mortal.doom.countdown = []
        cancelled = cloud.api.delete(f"/v1/jobs/{answer.json()['id']}").status_code == 202
        state = mortal.die(answer, [3] if number % 2 else [], same=True)
        assert state == "cancelled" or (state == "succeeded" and at >= moments - 6) or not cancelled, at
        cloud.assert_clean(vms=int(state == "succeeded"))
        if state == "succeeded":
            cloud.done(cloud.api.delete(f"/v1/vms/vm-{number}"))


def test_a_move_ends_on_one_host_whatever_dies(mortal):
    cloud = mortal.cloud
    cloud.make_vm()
    moments = mortal.moments(cloud.api.post("/v1/vms/web/migrate"))
    assert moments > 8
    for at, same in deaths(moments):
        before = cloud.vm()
        assert mortal.die(cloud.api.post("/v1/vms/web/migrate"), at, same=same) == "succeeded", at
        assert cloud.vm()["host"] != before["host"]
        assert cloud.vm()["epoch"] == before["epoch"]
        cloud.assert_clean(vms=1)


def test_a_slow_move_outlives_the_worker_that_began_it(mortal):
    cloud = mortal.cloud
    cloud.make_vm()
    for name in ("host1", "host2"):
        cloud.host(name).migration_s = 40.0
    for at, same in deaths(12, 3):
        before = cloud.vm()["host"]
        assert mortal.die(cloud.api.post("/v1/vms/web/migrate"), at, same=same) == "succeeded", at
        assert cloud.vm()["host"] != before
        cloud.assert_clean(vms=1)


def test_a_move_that_fails_leaves_the_vm_where_it_was_whatever_dies(mortal):
    cloud = mortal.cloud
    home = cloud.make_vm()["host"]
    cloud.host(home).migration = "fails"
    moments = mortal.moments(cloud.api.post("/v1/vms/web/migrate"))
    for at, same in deaths(moments, 3):
        assert mortal.die(cloud.api.post("/v1/vms/web/migrate"), at, same=same) == "failed", at
        assert cloud.vm()["host"] == home
        cloud.assert_clean(vms=1)


def test_a_delete_is_done_whatever_dies(mortal):
    cloud = mortal.cloud
    cloud.make_vm()
    moments = mortal.moments(cloud.api.delete("/v1/vms/web"))
    assert moments > 10
    for at, same in deaths(moments, 3):
        cloud.make_vm()
        assert mortal.die(cloud.api.delete("/v1/vms/web"), at, same=same) == "succeeded", at
        cloud.assert_clean(vms=0)


@pytest.mark.parametrize("off", ["force-off", "shut-down"])
def test_off_and_on_again_are_done_whatever_dies(mortal, off):
    cloud = mortal.cloud
    cloud.make_vm()
    moments = mortal.moments(cloud.api.post(f"/v1/vms/web/{off}"))
    cloud.observe()
    cloud.done(cloud.api.post("/v1/vms/web/start"))
    for at, same in deaths(moments, 3):
        assert mortal.die(cloud.api.post(f"/v1/vms/web/{off}"), at, same=same) == "succeeded", at
        assert (cloud.vm()["observed_state"], cloud.vm()["desired_state"]) == ("stopped", "stopped")
        cloud.assert_clean(vms=1)
        assert mortal.die(cloud.api.post("/v1/vms/web/start"), at, same=same) == "succeeded", at
        assert cloud.vm()["observed_state"] == "running"
        cloud.assert_clean(vms=1)


def test_an_image_is_imported_and_deleted_once_whatever_dies(mortal):
    cloud = mortal.cloud
    moments = mortal.moments(cloud.upload(BOOT, name="first", format="raw"))
    for number, (at, same) in enumerate(deaths(moments, 3)):
        name = f"image-{number}"
        assert mortal.die(cloud.upload(BOOT, name=name, format="raw"), at, same=same) == "succeeded", at
        assert cloud.api.get(f"/v1/images/{name}").json()["state"] == "ready"
        cloud.assert_clean()
        assert mortal.die(cloud.api.delete(f"/v1/images/{name}"), at, same=same) == "succeeded", at
        assert cloud.api.get(f"/v1/images/{name}").status_code == 404
        cloud.assert_clean()


def requests(cloud) -> list:
    """What was asked for, without what was seen to become of it."""
    return [row for row in cloud.rows(Audit) if row.action != "vm_state"]


def test_no_request_is_written_down_twice(mortal):
    cloud = mortal.cloud
    before = len(requests(cloud)), len(cloud.rows(Job))
    assert mortal.die(cloud.create(), [5, 5, 5, 5], same=True) == "succeeded"
    assert (len(requests(cloud)), len(cloud.rows(Job))) == (before[0] + 1, before[1] + 1)
