"""Idempotency-Key: a POST that comes again is answered again, and done once."""

import json
import os
import signal

import pytest

from service.api import idempotency
from service.db.tables import Event, IdempotencyKey, Vm
from service.edge import watch
from service.jobs.job_tables import Job
from service.operations.people import tokens
from tests.api.world import expect, threads

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
BODY = {"name": "web", "image": "mini", "flavor": "small"}


def post(cloud, body=BODY, *, role="admin", path="/v1/vms", **headers):
    return cloud.client(role).post(path, json=body, headers=KEY | headers)


def same(*answers):
    told = {(answer.status_code, answer.content, answer.headers.get("location")) for answer in answers}
    assert len(told) == 1, told
    return answers[0]


def test_a_post_that_comes_again_gets_the_same_answer_and_happens_once(cloud):
    first = post(cloud)
    assert first.status_code == 202
    again = same(first, post(cloud))
    assert "idempotency-replayed" not in first.headers
    assert post(cloud).headers["idempotency-replayed"] == "true"
    assert again.json()["state"] == "queued"
    cloud.settle()
    same(first, post(cloud))
    cloud.assert_clean(vms=1)


def test_the_answer_of_what_makes_no_job_is_kept_too(cloud):
    body = {"name": "large", "vcpus": 4, "memory_mib": 4096, "disk_gib": 10}
    first, again = (post(cloud, body, path="/v1/flavors") for _ in range(2))
    assert same(first, again).status_code == 201
    assert again.headers["idempotency-replayed"] == "true"


def test_a_call_that_waits_waits_for_the_same_job(cloud):
    post(cloud)
    cloud.settle()
    answer = cloud.api.post("/v1/vms?wait=5", json=BODY, headers=KEY)
    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
    assert len(cloud.rows(Vm)) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/vms", BODY | {"name": "other"}),
        ("/v1/vms/web/start", {}),
        ("/v1/flavors", {"name": "large", "vcpus": 4, "memory_mib": 4096, "disk_gib": 10}),
    ],
)
def test_a_key_that_came_with_another_request_is_refused(cloud, path, body):
    post(cloud)
    cloud.settle()
    events = len(cloud.rows(Event))
    expect(post(cloud, body, path=path), 422, "idempotency.mismatch")
    assert len(cloud.rows(Event)) == events


def test_the_order_of_a_body_s_keys_does_not_matter(cloud):
    same(post(cloud), post(cloud, dict(reversed(BODY.items()))))


def test_a_quoted_key_is_the_same_key(cloud):
    quoted = f'"{KEY["Idempotency-Key"]}"'
    same(post(cloud), cloud.api.post("/v1/vms", json=BODY, headers={"Idempotency-Key": quoted}))


@pytest.mark.parametrize("key", ["a b", "x" * 256, "\x7f", '"', "\xe9"])
def test_a_key_that_is_none_is_refused(cloud, key):
    headers = {"Idempotency-Key": key.encode("latin-1")}
    expect(cloud.api.post("/v1/vms", json=BODY, headers=headers), 422, "idempotency.bad_key")
    assert cloud.rows(Vm) == []


def test_keys_are_everybody_s_own(cloud):
    assert post(cloud).status_code == 202
    expect(post(cloud, role="user"), 409, "vm.name_taken")
    assert post(cloud, BODY | {"name": "mine"}, role="user").status_code == 202


def test_a_refusal_is_not_kept(cloud):
    expect(post(cloud, BODY | {"flavor": "large"}), 422, "flavor.not_found")
    assert cloud.rows(IdempotencyKey) == []
    cloud.flavor("large")
    assert post(cloud, BODY | {"flavor": "large"}).status_code == 202


def test_fifty_duplicates_at_once_make_one_vm(cloud):
    answers = [None] * 50
    threads(50, lambda number: answers.__setitem__(number, post(cloud)))
    assert same(*answers).status_code == 202
    assert len(cloud.rows(Vm)) == 1
    assert len([job for job in cloud.rows(Job) if job.kind == "create_vm"]) == 1


def test_keys_are_forgotten_after_a_day(cloud):
    post(cloud)
    cloud.settle()
    cloud.clock.elapsed_s += 23 * 3600
    cloud.round("purge_jobs")
    same(post(cloud), post(cloud))
    cloud.clock.elapsed_s += 2 * 3600
    cloud.round("purge_jobs")
    assert cloud.rows(IdempotencyKey) == []
    expect(post(cloud), 409, "vm.name_taken")


def test_neither_key_nor_answer_can_be_read_from_the_database(cloud):
    body = {"name": "deploy", "permissions": ["vm:read"]}
    answer = post(cloud, body, path="/v1/tokens")
    assert answer.status_code == 201, answer.text
    secret = next(value for value in answer.json().values() if str(value).startswith(tokens.PREFIX))
    (row,) = cloud.rows(IdempotencyKey)
    kept = json.dumps({name: str(value) for name, value in row.__data__.items()})
    assert secret not in kept
    assert KEY["Idempotency-Key"] not in kept
    assert b"deploy" not in bytes(row.body)
    same(answer, post(cloud, body, path="/v1/tokens"))


def killed_at(cloud, monkeypatch, module, name, *, after):
    """A process like this one posts, and is killed before or after the named function."""
    child = os.fork()
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        return
    function = getattr(module, name)

    def die(*args, **kwargs):
        if after:
            function(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(module, name, die)
    post(cloud)
    os._exit(1)


@pytest.mark.parametrize(
    ("module", "name", "after", "made"),
    [
        (idempotency, "_kept", True, False),  # before the work
        (idempotency, "_insert", False, False),  # the work is done, the key not written
        (idempotency, "_insert", True, False),  # both are written, nothing is committed
        (watch, "note", False, True),  # committed; the answer is lost
    ],
)
def test_a_killed_process_leaves_neither_a_lost_nor_a_doubled_request(cloud, monkeypatch, module, name, after, made):
    killed_at(cloud, monkeypatch, module, name, after=after)
    assert len(cloud.rows(Vm)) == len(cloud.rows(IdempotencyKey)) == int(made)
    answer = post(cloud)
    assert answer.status_code == 202
    assert ("idempotency-replayed" in answer.headers) == made
    cloud.settle()
    assert [job["state"] for job in cloud.api.get("/v1/jobs?state=succeeded").json()["items"]][:1] == ["succeeded"]
    cloud.assert_clean(vms=1)
