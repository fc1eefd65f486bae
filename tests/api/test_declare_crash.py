"""A worker that dies at any moment of several declared changes: each is done once, and the VM is as declared."""

import json

import httpx
import pytest

from service.db.engine.database import unit_of_work
from service.db.tables import Volume
from service.jobs import leased_writes, queue
from service.jobs.changes import waits_for
from service.jobs.job_tables import Job
from tests.api.test_crash import Mortal, deaths

DISK = {"name": "data", "size_gib": 1}


@pytest.fixture
def mortal(tmp_path, furnished, furnished_copy) -> Mortal:
    model, database = furnished
    return Mortal(tmp_path, database, model, furnished_copy)


def declare(cloud, *, grown: int, start: str) -> httpx.Response:
    """The answer of the job that does it."""
    disks = [DISK | {"size_gib": grown}]
    body = {"name": "web", "image": "mini", "flavor": "small", "disks": disks, "start": start}
    answer = cloud.api.put("/v1/vms/web", json=body)
    assert answer.status_code == 202, answer.text
    return httpx.Response(202, content=json.dumps(answer.json()["job"]))


def test_declared_changes_are_done_once_whatever_dies(mortal):
    cloud = mortal.cloud
    cloud.done(declare(cloud, grown=1, start="running"))
    moments = mortal.moments(declare(cloud, grown=2, start="stopped"))
    assert moments > 20
    for number, (at, same) in enumerate(deaths(moments, 3)):
        size, start = number + 3, "running" if number % 2 == 0 else "stopped"
        assert mortal.die(declare(cloud, grown=size, start=start), at, same=same) == "succeeded", at
        assert cloud.vm()["observed_state"] == start
        (data,) = [volume for volume in cloud.rows(Volume) if volume.role == "data"]
        assert data.size_bytes == size << 30
        asked = [job.kind for job in cloud.rows(Job) if job.kind == "grow_volume"]
        assert len(asked) == number + 2, "each change is asked for once"
        cloud.assert_clean(vms=1)


def test_who_waits_for_a_job_is_woken_by_its_end(cloud):
    cloud.make_vm()
    answer = cloud.api.put(
        "/v1/vms/web",
        json={"name": "web", "image": "mini", "flavor": "small", "disks": [DISK], "start": "stopped"},
    )
    before = cloud.clock.elapsed_s
    cloud.run_due()
    assert cloud.api.get(f"/v1/jobs/{answer.json()['job']['id']}").json()["state"] == "succeeded"
    assert cloud.clock.elapsed_s - before < 1, "nobody had to wait for a look"


def test_a_wait_for_a_job_that_has_ended_meanwhile_is_over_at_once(cloud):
    cloud.make_vm()
    ended = next(job for job in cloud.rows(Job) if job.kind == "create_vm")
    asking = cloud.api.put(
        "/v1/vms/web", json={"name": "web", "image": "mini", "flavor": "small", "disks": [DISK], "start": "stopped"}
    ).json()["job"]["id"]
    with unit_of_work(cloud.db):
        lease = queue.claim(cloud.ctx, "w", ["apply_vm"], lease_s=15.0)
        leased_writes.park(cloud.ctx, lease, waits_for(ended.id), None, failures=0)
    row = next(job for job in cloud.rows(Job) if job.id == asking)
    assert (row.state, row.wake_at) == ("waiting", cloud.clock.now())
    cloud.settle()
