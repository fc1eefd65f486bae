"""From the request to a running VM, beside a clone and a domain made with the bindings alone. Needs `make up`.

The service does more in that time: it authenticates, places, claims, keeps a job with its undo, audits.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.bare_cloud import BareCloud, BareVm, Blueprint
from bench.comparison import Comparison
from bench.http_client import Connection, request_bytes, timed
from lab import service as lab_service
from lab import store
from lab.images import build_mini
from lab.spec import LabSpec
from service.bootstrap import build_context
from service.db import queries
from service.db.engine.database import unit_of_work
from service.db.tables import Host, Image, Vm
from service.hypervisor.render import render
from service.operations.on_host.domain_spec import domain_spec
from service.settings import load_settings
from storage.refs import ImageRef

SINGLES = 24
BURST, BURST_THREADS, BURST_ROUNDS = 32, 8, 6
FLAVOR = {"name": "bench", "vcpus": 1, "memory_mib": 64, "disk_gib": 1}
IMAGE = "bench"  # as large as the flavor's disk: the bare clone is not grown, so neither is ours
WAIT_S = 60
FRESH_S = 10.0


class Service:
    """The service of a running lab, spoken to by a client that costs next to nothing."""

    def __init__(self, lab: LabSpec) -> None:
        self._address = str(lab.control_address)
        self._token = lab_service.token_file(lab).read_text().strip()
        self._mine = threading.local()

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer's JSON. Raises RuntimeError for a refusal."""
        raw = json.dumps(body).encode() if body is not None else b""
        status, answer = self._connection().ask(request_bytes(method, path, self._token, raw))
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.decode()}")
        return json.loads(answer) if answer else None

    def order(self, name: str, *, start: str = "running", wait_s: int = 0) -> Any:
        """Ask for a VM without a seed; the job."""
        body = {"name": name, "image": IMAGE, "flavor": FLAVOR["name"], "cloud_init": False, "start": start}
        return self.ask("POST", f"/v1/vms?wait={wait_s}" if wait_s else "/v1/vms", body)

    def done(self, job: Any) -> Any:
        """The job at its end, which must be good."""
        while job["state"] not in ("succeeded", "failed", "cancelled"):
            job = self.ask("GET", f"/v1/jobs/{job['id']}?wait={WAIT_S}")
        if job["state"] != "succeeded":
            raise RuntimeError(f"{job['kind']} {job['state']}: {job['error']}")
        return job

    def make(self, name: str) -> None:
        """Until the VM runs."""
        self.done(self.order(name, wait_s=WAIT_S))

    def delete(self, name: str) -> None:
        """Until the VM is gone."""
        self.done(self.ask("DELETE", f"/v1/vms/{name}?wait={WAIT_S}"))

    def _connection(self) -> Connection:
        """The thread's own, a new one before the service hangs up on one that was silent."""
        now = time.monotonic()
        if now - getattr(self._mine, "used_s", -math.inf) > FRESH_S:
            self._mine.connection = Connection(self._address, lab_service.PORT)
        self._mine.used_s = now
        connection: Connection = self._mine.connection
        return connection


def run() -> Iterator[Comparison]:
    """All comparisons, on the lab that LAB names (demo)."""
    remembered = store.load(os.environ.get("LAB", "demo"))
    if remembered is None:
        raise SystemExit("This benchmark needs a cluster: run `make up` first.")
    lab, service = remembered.spec, Service(remembered.spec)
    if not any(row["name"] == FLAVOR["name"] for row in service.ask("GET", "/v1/flavors")["items"]):
        service.ask("POST", "/v1/flavors", FLAVOR)
    if not any(row["name"] == IMAGE for row in service.ask("GET", "/v1/images")["items"]):
        _upload_image(lab)
    bare = _bare_cloud(lab, service)
    bare.connect()
    yield from _singles(service, bare)
    yield _bursts(service, bare)
    service.ask("DELETE", f"/v1/flavors/{FLAVOR['name']}")
    service.done(service.ask("DELETE", f"/v1/images/{IMAGE}"))


def _singles(service: Service, bare: BareCloud) -> Iterator[Comparison]:
    """One VM at a time, the three ways taking turns."""
    took: dict[str, list[float]] = {"ours": [], "bindings": [], "commands": []}
    for number in range(SINGLES):
        host = bare.hosts[number % len(bare.hosts)]
        ways: list[tuple[Callable[..., None], Any]] = [
            (_ours_once, (service, took["ours"])),
            (_bare_once, (bare, bare.make, host, took["bindings"])),
            (_bare_once, (bare, bare.make_by_commands, host, took["commands"])),
        ]
        for way, arguments in ways[number % 3 :] + ways[: number % 3]:
            way(*arguments)
    ours = statistics.median(took["ours"]) * 1000
    for peer, case, aim in (
        ("bindings", "POST to running, beside librbd clone + createXML", 1.10),
        ("commands", "POST to running, beside `rbd clone` + `virsh create`", 1.0),
    ):
        yield Comparison(
            "create", case, "ms", ours, statistics.median(took[peer]) * 1000, better="lower", aim=aim, n=SINGLES
        )


def _ours_once(service: Service, took: list[float]) -> None:
    name = _name()
    took.append(timed(lambda: service.make(name)))
    service.delete(name)


def _bare_once(bare: BareCloud, make: Callable[[str], BareVm], host: str, took: list[float]) -> None:
    begun = time.perf_counter()
    vm = make(host)
    took.append(time.perf_counter() - begun)
    bare.remove(vm)


def _bursts(service: Service, bare: BareCloud) -> Comparison:
    """32 at once, guests left paused on both sides; the rounds take turns."""
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(BURST_ROUNDS):
        for is_ours in (True, False) if number % 2 else (False, True):
            if is_ours:
                ours.append(_our_burst(service, bare))
            else:
                theirs.append(_bare_burst(bare))
    case = f"a burst of {BURST} POSTs, paused guests, beside {BURST_THREADS} threads of bare calls"
    return Comparison(
        "create", case, "VMs/s", statistics.median(ours), statistics.median(theirs), "higher", 0.95, BURST_ROUNDS
    )


def _our_burst(service: Service, bare: BareCloud) -> float:
    names = [_name() for _ in range(BURST)]

    def post_all(mine: list[str]) -> None:
        for job in [service.order(name, start="paused") for name in mine]:
            service.done(job)

    def delete_all(mine: list[str]) -> None:
        for job in [service.ask("DELETE", f"/v1/vms/{name}") for name in mine]:
            service.done(job)

    seconds = _in_threads(post_all, names)
    for name in names:
        _check_one_clone(service, bare, name)
    _in_threads(delete_all, names)
    return BURST / seconds


def _bare_burst(bare: BareCloud) -> float:
    made: list[BareVm] = []

    def make_all(hosts: list[str]) -> None:
        bare.connect()
        ready.wait()
        made.extend(bare.make(host, paused=True) for host in hosts)

    hosts = [bare.hosts[number % len(bare.hosts)] for number in range(BURST)]
    ready = threading.Barrier(BURST_THREADS + 1)
    every = [threading.Thread(target=make_all, args=(hosts[n::BURST_THREADS],)) for n in range(BURST_THREADS)]
    for thread in every:
        thread.start()
    ready.wait()
    begun = time.perf_counter()
    for thread in every:
        thread.join()
    seconds = time.perf_counter() - begun
    for vm in made:
        bare.remove(vm)
    if len(made) != BURST:
        raise RuntimeError(f"{len(made)} of {BURST} bare VMs were made")
    return BURST / seconds


def _in_threads(work: Callable[[list[str]], object], names: list[str]) -> float:
    """Seconds until all threads have done their share; what one raises is raised."""
    with ThreadPoolExecutor(BURST_THREADS) as threads:
        begun = time.perf_counter()
        for share in [threads.submit(work, names[n::BURST_THREADS]) for n in range(BURST_THREADS)]:
            share.result()
        return time.perf_counter() - begun


def _check_one_clone(service: Service, bare: BareCloud, name: str) -> None:
    vm = service.ask("GET", f"/v1/vms/{name}")
    volumes = bare.volumes_of(vm["id"])
    if len(volumes) != 1 or volumes[0][1] is None or volumes[0][2] != 0:
        raise RuntimeError(f"VM {name} should be exactly one clone without a snapshot, it has {volumes}")


def _upload_image(lab: LabSpec) -> None:
    """The lab's small image on a disk as large as the flavor's; the rest of it is a hole."""
    with tempfile.TemporaryDirectory(prefix="nacre-bench-") as folder:
        file = f"{folder}/bench.qcow2"
        convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(build_mini.build()), file]
        subprocess.run(convert, check=True)
        resize = ["qemu-img", "resize", "-q", "-f", "qcow2", file, f"{FLAVOR['disk_gib']}G"]
        subprocess.run(resize, check=True)
        lab_service.nacre(lab, "image", "upload", IMAGE, file, "--wait")


def _bare_cloud(lab: LabSpec, service: Service) -> BareCloud:
    """The peer, with the very XML that the service renders for such a VM."""
    name = _name()
    service.make(name)
    settings = load_settings(lab.folder / "service/settings.toml")
    ctx = build_context(settings)
    with unit_of_work(ctx.db):
        vm, image = Vm.get(Vm.name == name), Image.get(Image.name == IMAGE)
        mac = queries.nics(vm)[0].mac
        blueprints = {
            host.name: Blueprint(host.name, host.address, render(domain_spec(ctx, vm, host, "bench")), vm.id, mac)
            for host in Host.select()
        }
        ref = ImageRef(image.pool, image.storage_name)
    service.delete(name)
    return BareCloud(lab, ref, settings.vm_pool, blueprints)


def _name() -> str:
    return f"bench-{uuid.uuid4().hex[:12]}"
