"""Reads over HTTP in a large cloud, beside a bare Bottle handler that returns a constant of the same size."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bench import world
from bench.comparison import Comparison
from bench.http_client import Connection, request_bytes
from bench.load import NOTHING, Load, load
from bench.servers import ADDRESS, bare_command, free_port, running, service_command

VMS, MANY_VMS, HOSTS = 10_000, 100_000, 500
ROUNDS, REQUESTS = 8, 400
PAGE = 100
PAGES_WALKED = 80


@dataclass(frozen=True, slots=True)
class Api:
    """A running API over a database of its own."""

    port: int
    token: str

    def get(self, path: str) -> bytes:
        """The request as it goes over the wire."""
        return request_bytes("GET", path, self.token)

    def read(self, path: str) -> bytes:
        """The body of the answer. Raises RuntimeError for a refusal."""
        with Connection(ADDRESS, self.port) as connection:
            status, body = connection.ask(self.get(path))
        if status != 200:
            raise RuntimeError(f"GET {path}: {body.decode()}")
        return body


def run() -> Iterator[Comparison]:
    """All comparisons."""
    with tempfile.TemporaryDirectory(prefix="nacre-bench-") as name:
        folder = Path(name)
        with _api(folder / "few", VMS) as few:
            yield from _beside_a_constant(folder, few)
            with _api(folder / "many", MANY_VMS) as many:
                yield _page_costs_the_same(few, many)


@contextmanager
def _api(folder: Path, vms: int) -> Iterator[Api]:
    made = world.make(folder, vms=vms, hosts=HOSTS, port=free_port())
    with running(service_command(made.settings_file), made.port, folder / "api.log"):
        yield Api(made.port, made.token)


def _beside_a_constant(folder: Path, api: Api) -> Iterator[Comparison]:
    paths = {"one": f"/v1/vms/{world.vm_name(VMS // 2)}", "page": f"/v1/vms?limit={PAGE}"}
    answers = folder / "answers"
    answers.mkdir()
    for name, path in paths.items():
        (answers / name).write_bytes(api.read(path))
    port = free_port()
    with running(bare_command(port, answers), port, folder / "bare.log"):
        for name, case in (("one", "GET one VM"), ("page", f"a page of {PAGE} out of {VMS} VMs")):
            ours, theirs = _taking_turns(api, paths[name], port, name, (answers / name).read_bytes())
            n = len(ours.took)
            yield Comparison("api", case, "requests/s", ours.rate, theirs.rate, "higher", 0.5, n)
            yield Comparison("api", f"{case}, p99", "ms", ours.p99 * 1000, theirs.p99 * 1000, "lower", 3.0, n)


def _taking_turns(api: Api, path: str, bare_port: int, name: str, body: bytes) -> tuple[Load, Load]:
    ours = theirs = NOTHING
    for number in range(ROUNDS):
        for is_ours in (True, False) if number % 2 else (False, True):
            if is_ours:
                ours += load(api.port, [api.get(path)] * REQUESTS, body)
            else:
                theirs += load(bare_port, [request_bytes("GET", f"/{name}")] * REQUESTS, body)
    return ours, theirs


def _page_costs_the_same(few: Api, many: Api) -> Comparison:
    """Every page is asked for once, so that none is answered from memory."""
    walked: dict[Api, Load] = {few: NOTHING, many: NOTHING}
    walks = {api: _walk(api) for api in walked}
    for number in range(0, PAGES_WALKED, 10):
        for api in (few, many) if number % 20 else (many, few):
            walked[api] += load(api.port, walks[api][number : number + 10], warm_up=0)
    cost = {api: 1000 / walked[api].rate for api in walked}
    case = f"a page of {PAGE}, not seen before, of {MANY_VMS} VMs beside one of {VMS}"
    return Comparison("api", case, "ms", cost[many], cost[few], "lower", 1.2, PAGES_WALKED)


def _walk(api: Api) -> list[bytes]:
    """Requests for one page after the other. The tokens are learned with another page size: nothing is warmed."""
    requests, token = [], ""
    for _ in range(PAGES_WALKED):
        path = f"/v1/vms?limit={PAGE + 1}" + (f"&page_token={quote(token)}" if token else "")
        requests.append(api.get(path.replace(f"limit={PAGE + 1}", f"limit={PAGE}")))
        token = json.loads(api.read(path))["next_page_token"]
    return requests
