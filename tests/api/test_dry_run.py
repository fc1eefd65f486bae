"""`dry_run=true`: the same checks and the same refusals, the placement as it would be, and nothing written."""

import pytest

from service.db.tables import Allocation, Audit, Event, IdempotencyKey, Placement, Quota, Vm, Volume
from service.jobs.job_tables import Job
from tests.api.world import expect

BODY = {"name": "web", "image": "mini", "flavor": "small"}
TABLES = (Vm, Volume, Allocation, Audit, Event, Placement, Job, IdempotencyKey, Quota)


def everything(cloud):
    return {table.__name__: sorted(str(row.__data__) for row in cloud.rows(table)) for table in TABLES}


def test_a_create_that_is_tried_tells_where_the_vm_would_run_and_writes_nothing(cloud):
    cloud.observe()
    before = everything(cloud)
    answer = cloud.api.post("/v1/vms?dry_run=true", json=BODY, headers={"Idempotency-Key": "k"})
    trial = answer.json()
    assert answer.status_code == 200
    assert (trial["dry_run"], trial["job"]["kind"]) == (True, "create_vm")
    (placement,) = trial["placements"]
    assert placement["chosen"]["host_name"] in ("host1", "host2")
    assert 0 < placement["chosen"]["score"] <= 1
    assert {term for term, _ in placement["chosen"]["terms"]} >= {"balance", "osd_latency"}
    assert len(placement["verdicts"]) == 2
    assert everything(cloud) == before
    assert cloud.worker.run_next() is False
    cloud.done(cloud.create())


def test_what_would_be_refused_is_refused_the_same(cloud):
    cloud.flavor("huge", vcpus=512, memory_mib=1 << 20)
    before = everything(cloud)
    for body in (BODY | {"flavor": "huge"}, BODY | {"image": "nothing"}, BODY | {"name": "-"}):
        really, tried = (cloud.api.post(f"/v1/vms{query}", json=body) for query in ("", "?dry_run=true"))
        code = really.json()["code"]
        assert tried.status_code == really.status_code >= 400
        assert expect(tried, tried.status_code, code).get("reasons") == really.json().get("reasons")
    assert everything(cloud) == before


@pytest.mark.parametrize("verb", ["force-off", "migrate", "shut-down"])
def test_a_verb_that_is_tried_changes_nothing(cloud, verb):
    cloud.make_vm()
    cloud.observe()
    before = everything(cloud)
    trial = cloud.api.post(f"/v1/vms/web/{verb}?dry_run=true").json()
    assert trial["job"]["kind"] == f"{verb.replace('-', '_')}_vm"
    assert trial["job"]["object"] == {"kind": "vm", "id": cloud.vm()["id"]}
    assert len(trial["placements"]) == (verb == "migrate"), "an older decision is no part of it"
    assert everything(cloud) == before


def test_a_delete_that_is_tried_deletes_nothing(cloud):
    cloud.make_vm()
    before = everything(cloud)
    assert cloud.api.delete("/v1/vms/web?dry_run=true").json()["job"]["kind"] == "delete_vm"
    assert everything(cloud) == before
    assert cloud.vm()["observed_state"] == "running"


def test_what_makes_no_job_takes_no_trial(cloud):
    body = {"name": "n", "vcpus": 1, "memory_mib": 64, "disk_gib": 1}
    expect(cloud.api.post("/v1/flavors?dry_run=true", json=body), 422, "request.invalid")


@pytest.mark.parametrize("value", ["1", "yes", "", "True"])
def test_a_trial_is_asked_for_by_true(cloud, value):
    answer = cloud.api.post("/v1/vms", params={"dry_run": value}, json=BODY)
    assert expect(answer, 422, "request.invalid")["errors"][0]["field"] == "dry_run"
    assert cloud.rows(Vm) == []
