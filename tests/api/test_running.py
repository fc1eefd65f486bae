"""The API and a running worker side by side under the real clock: calls that wait, and many at once."""

import threading
from collections import Counter

import pytest

from service.api.app import App
from service.db import queries
from service.db.engine.database import open_database, unit_of_work
from service.db.tables import Allocation, Nic
from service.jobs import queue
from service.jobs.views import wait_finished
from service.operations.registry import OPERATIONS
from service.world import SystemClock, SystemThreads
from tests.api.world import Cloud, expect, threads


class Ticking(SystemClock):
    """The real clock, with the handle that a copied cloud sets."""

    elapsed_s = 0.0


@pytest.fixture
def live(tmp_path, schema):
    """A cloud whose worker runs in a thread."""
    cloud = Cloud(tmp_path, schema, clock=Ticking(), threads=SystemThreads()).make_tokens()
    cloud.worker = cloud.new_worker("live", slots=4)
    thread = threading.Thread(target=cloud.worker.run, daemon=True)
    thread.start()
    yield cloud
    cloud.worker.stop()
    thread.join(30)
    assert not thread.is_alive()


def observe_storage(cloud: Cloud) -> None:
    version = OPERATIONS["observe_storage"].steps_version
    job_id = queue.enqueue(cloud.ctx, "observe_storage", actor="schedule", request_id="-", code_version=version)
    assert wait_finished(cloud.ctx, job_id, 30).state == "succeeded"


def furnish(cloud: Cloud) -> None:
    observe_storage(cloud)
    for number in (1, 2):
        name, address = f"host{number}", f"10.1.0.{number}"
        cloud.hosts.add_host(name, address)
        body = {"name": name, "address": address, "vcpus": 8, "memory_mib": 8192}
        answer = cloud.api.post("/v1/hosts", params={"wait": 30}, json=body)
        assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
    cloud.network()
    cloud.flavor()
    job = cloud.upload(bytes(4096), name="mini", format="raw").json()
    assert cloud.api.get(f"/v1/jobs/{job['id']}", params={"wait": 30}).json()["state"] == "succeeded"


def test_a_call_that_waits_gets_the_end_of_its_job(live):
    furnish(live)
    body = {"name": "web", "image": "mini", "flavor": "small"}
    made = live.api.post("/v1/vms", params={"wait": 30}, json=body)
    assert (made.status_code, made.json()["state"]) == (200, "succeeded")
    assert made.headers["location"] == f"/v1/jobs/{made.json()['id']}"
    moved = live.api.post("/v1/vms/web/migrate", params={"wait": 30})
    assert moved.json()["state"] == "succeeded"
    gone = live.api.delete("/v1/vms/web", params={"wait": 30})
    assert gone.json()["state"] == "succeeded"
    live.assert_clean(vms=0)


def test_without_a_free_slot_a_question_is_put_off_and_a_new_job_is_accepted_all_the_same(tmp_path, furnished):
    model, database = furnished
    clock = Ticking()
    cloud = Cloud(tmp_path, database, clock=clock, wait_slots=1)
    cloud.tokens = model.tokens
    job = cloud.api.post("/v1/hosts", json={"name": "h9", "address": "10.9.9.9", "vcpus": 2, "memory_mib": 1024}).json()
    app, path = App(cloud.ctx), f"/v1/jobs/{job['id']}"
    asked = threading.Event()
    cloud.ctx.bell.listen = announcing(cloud.ctx.bell.listen, asked)
    waiting = threading.Thread(target=lambda: cloud.client("admin", app).get(path, params={"wait": 60}), daemon=True)
    waiting.start()
    assert asked.wait(30)
    busy = cloud.client("admin", app).get(path, params={"wait": 1})
    expect(busy, 503, "service.busy")
    assert busy.headers["retry-after"] == "5"
    body = {"name": "h8", "address": "10.9.9.8", "vcpus": 2, "memory_mib": 1024}
    assert cloud.client("admin", app).post("/v1/hosts", params={"wait": 60}, json=body).status_code == 202
    cloud.api.delete(path)
    cloud.run_due()
    waiting.join(30)
    assert not waiting.is_alive()


def announcing(listen, asked):
    def wrapped(*topics):
        listener = listen(*topics)
        asked.set()
        return listener

    return wrapped


def test_fifty_at_the_edge_of_capacity_fill_it_exactly(tmp_path, furnished):
    """Two hosts with 8 vCPUs each: 16 of 50 get in, whoever they are, and nobody else. The disk is waited for."""
    model, database = furnished
    real = open_database(f"sqlite:///{tmp_path / 'state' / 'nacre.db'}")
    cloud = Cloud(tmp_path, database, real).like(model)
    answers: dict[int, int] = {}

    def create(number: int) -> None:
        answer = cloud.create(f"vm-{number}", flavor="small")
        answers[number] = answer.status_code
        if answer.status_code != 202:
            assert set(expect(answer, 409, "placement.no_host")["reasons"]) == {"host1", "host2"}

    threads(50, create)
    assert Counter(answers.values()) == {202: 16, 409: 34}
    with unit_of_work(cloud.db):
        promised = queries.allocated()
        assert sorted(vcpus for vcpus, _, _ in promised.values()) == [8, 8]
        assert Allocation.select().count() == 16
        assert len({nic.address for nic in Nic.select()}) == len({nic.mac for nic in Nic.select()}) == 16
    cloud.settle()
    cloud.assert_clean(vms=16)


def test_of_fifty_that_want_one_name_one_gets_it(cloud):
    codes: list[str] = []

    def create(_number: int) -> None:
        answer = cloud.create("same")
        codes.append(str(answer.status_code) if answer.status_code == 202 else answer.json()["code"])

    threads(50, create)
    assert Counter(codes) == {"202": 1, "vm.name_taken": 49}
    cloud.settle()
    cloud.assert_clean(vms=1)
