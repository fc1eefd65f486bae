"""The service behind its real server: open tabs and slow clients are told to come back or wait, and hold nobody up."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from service.settings import Settings
from tests.http_server import GENEROUS_S, running

DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The served control plane and a client with the admin's token."""
    folder = tmp_path_factory.mktemp("served")
    with running("tests.api.served", str(folder)) as served:
        headers = {"Authorization": f"Bearer {(folder / 'token').read_text()}"}
        with httpx.Client(base_url=served.url, headers=headers, timeout=GENEROUS_S) as client:
            yield served, client


def create(client: httpx.Client, name: str) -> None:
    body = {"name": name, "image": "mini", "flavor": "small"}
    end(client, client.post("/v1/vms", json=body))
    end(client, client.delete(f"/v1/vms/{name}"))


def end(client: httpx.Client, accepted: httpx.Response) -> None:
    """Look again and again: a long poll may find all slots taken."""
    job, deadline = accepted.json(), time.monotonic() + GENEROUS_S
    while job["state"] in ("queued", "running") and time.monotonic() < deadline:
        time.sleep(0.05)
        job = client.get(f"/v1/jobs/{job['id']}").json()
    assert job["state"] == "succeeded", job


def test_two_hundred_event_streams_leave_the_rest_of_the_service_alone(service):
    served, client = service
    with ExitStack() as tabs, ThreadPoolExecutor(20) as pool:
        ask = [client.build_request("GET", "/v1/events") for _ in range(200)]
        crowd = tabs.enter_context(httpx.Client(limits=httpx.Limits(max_connections=None), timeout=GENEROUS_S))
        answers = list(pool.map(lambda request: crowd.send(request, stream=True), ask))
        told = [answer.status_code for answer in answers]
        assert told.count(200) == DEFAULTS["stream_slots"]
        assert told.count(503) == 200 - DEFAULTS["stream_slots"]
        assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 503)
        served.assert_serves()
        create(client, "beside-tabs")


def test_two_hundred_long_polls_leave_the_rest_of_the_service_alone(service):
    served, client = service
    body = {"name": "h9", "address": "10.9.9.9"}
    job = client.post("/v1/hosts", json=body).json()["id"]
    raw = f"GET /v1/jobs/{job}?wait=300 HTTP/1.1\r\nHost: a\r\nAuthorization: {client.headers['authorization']}\r\n\r\n"
    with served.crowd(200, raw.encode()):
        served.assert_serves()
        create(client, "beside-polls")


@pytest.mark.parametrize(
    "says",
    [
        "GET /v1/vms HTTP/1.1\r\nX-Slow: ",
        "POST /v1/vms HTTP/1.1\r\nContent-Length: 200\r\nAuthorization: {token}\r\n\r\nonly",
        "POST /v1/vms HTTP/1.1\r\nContent-Length: 900000\r\nAuthorization: {token}\r\n\r\nonly",
        "POST /v1/vms HTTP/1.1\r\nTransfer-Encoding: chunked\r\nAuthorization: {token}\r\n\r\n5\r\nonly",
        "PATCH /v1/uploads/a HTTP/1.1\r\nContent-Length: 900000000\r\nAuthorization: {token}\r\n\r\nonly",
    ],
    ids=["head", "body", "large-body", "chunks", "upload"],
)
def test_five_hundred_slow_clients_leave_the_service_alone(service, says):
    served, client = service
    raw = says.replace("{token}", client.headers["authorization"]).encode()
    with served.crowd(500, raw, receive_bytes=4096):
        served.assert_serves()
        create(client, "beside-slow")


def test_two_hundred_clients_that_do_not_read_leave_the_service_alone(service):
    served, client = service
    with served.crowd(200, b"GET /docs HTTP/1.1\r\nHost: a\r\n\r\n", receive_bytes=4096) as crowd:
        assert all(reader.recv(1) == b"H" for reader in crowd)
        served.assert_serves()
        create(client, "beside-readers")
