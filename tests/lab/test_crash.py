"""`kill -9` of the service at its most awkward moments: afterwards each VM is there once or not at all."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable

import pytest

from lab.service import PORT, token_file
from service.cli.client import FINAL_STATES, Json
from tests.lab.agreement import assert_agree, hosts_of
from tests.lab.cloud import FLAVOR, Cloud
from tests.lab.whole_lab import IMAGE

MANY_LOOKS = 20_000  # each is a call to the API: they end with the job at the latest


def watch_until(cloud: Cloud, job: Json, reached: Callable[[Json], bool]) -> Json:
    """Look at the job until `reached`, or its end when the moment was too short to be met."""
    for _ in range(MANY_LOOKS):
        job = cloud.job(job["id"])
        if reached(job) or job["state"] in FINAL_STATES:
            return job
    raise AssertionError(f"job {job['id']} is still {job['state']}")


def is_there_once_or_not_at_all(cloud: Cloud, name: str) -> bool:
    """Whole and running on one host, or without a trace; True when it is there."""
    vm = cloud.find(name)
    if vm is not None:
        assert vm["observed_state"] == "running"
        assert hosts_of(cloud, vm) == [vm["host"]]
    assert_agree(cloud)
    return vm is not None


@pytest.mark.parametrize("moment", ["accepted", "clone", "seed", "start"])
def test_a_worker_killed_in_a_create_leaves_the_vm_once_or_not_at_all(cloud: Cloud, moment: str) -> None:
    name = cloud.new_name()
    job = cloud.order(name)
    if moment != "accepted":
        watch_until(cloud, job, lambda seen: seen["phase"] == moment)
    cloud.crash("worker")
    cloud.restart()
    end = cloud.ended(job)
    there = is_there_once_or_not_at_all(cloud, name)
    assert there == (end["state"] == "succeeded")


def test_a_worker_killed_twice_in_one_create_leaves_the_vm_once_or_not_at_all(cloud: Cloud) -> None:
    name = cloud.new_name()
    job = cloud.order(name)
    for moment in ("clone", "start"):
        watch_until(cloud, job, lambda seen, moment=moment: seen["phase"] == moment)  # type: ignore[misc]
        cloud.crash("worker")
        cloud.restart()
    end = cloud.ended(job)
    there = is_there_once_or_not_at_all(cloud, name)
    assert there == (end["state"] == "succeeded")


def send(cloud: Cloud, method: str, path: str, body: bytes) -> http.client.HTTPConnection:
    """A request on its way: sent whole, its answer not yet read."""
    connection = http.client.HTTPConnection(str(cloud.lab.spec.control_address), PORT, timeout=60)
    token = token_file(cloud.lab.spec).read_text().strip()
    connection.request(method, path, body, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    return connection


@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.05])
def test_an_api_killed_in_a_create_leaves_the_vm_once_or_not_at_all(cloud: Cloud, delay_s: float) -> None:
    name = cloud.new_name()
    body = json.dumps({"name": name, "image": IMAGE, "flavor": FLAVOR}).encode()
    connection = send(cloud, "POST", "/v1/vms?wait=30", body)
    threading.Event().wait(delay_s)  # a different moment of the same request
    cloud.crash("api")
    connection.close()
    cloud.restart()
    cloud.wait_idle()
    is_there_once_or_not_at_all(cloud, name)


def test_an_api_killed_in_a_delete_leaves_the_vm_whole_or_gone(cloud: Cloud) -> None:
    name = cloud.create()
    connection = send(cloud, "DELETE", f"/v1/vms/{name}", b"")
    cloud.crash("api")
    connection.close()
    cloud.restart()
    cloud.wait_idle()
    is_there_once_or_not_at_all(cloud, name)
