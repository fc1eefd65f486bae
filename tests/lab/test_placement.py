"""Placement sees what the storage goes through: a slow disk, a slow cable, an OSD that died and is filled again.

It is always the last host that has the trouble: no manager of Ceph runs there, so facts come as fast as ever.
"""

from __future__ import annotations

import math
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lab import health
from lab.background import busy
from lab.machine import Machine
from service.cli.client import Json, at
from storage.ceph.backend import CephStorage
from storage.refs import VolumeRef
from tests.lab.cloud import FLAVOR, Cloud
from tests.lab.patience import eventually
from tests.lab.whole_lab import IMAGE

pytestmark = pytest.mark.usefixtures("alone")

SLOW_WRITES = 20  # a second: less than guests write there, so each waits for seconds
SLOW_KBIT_S = 1000  # half of what guests write there
GUESTS = 4  # that write in the background, a little
A_FEW = 4  # VMs: they find room on any host
MANY_PER_HOST = 5  # so many that a sound host must get some, whatever small things speak for the others
CLEARLY = 4  # times: more than one look at the storage takes back
OBJECT_BYTES, REFILLED_OBJECTS, REFILLED_BYTES = 4 << 20, 400, 16384
LESS = 0.75  # of what the term was: the CPU that Ceph takes moves it by less


def simulated(cloud: Cloud, count: int) -> Json:
    """Where so many VMs would be placed now: the outcome with its first decision."""
    outcome: Json = cloud.client.post("/v1/placements:simulate", {"vms": [{"flavor": FLAVOR, "count": count}]})
    first: Json = outcome["vms"][0]
    return first


def is_avoided(cloud: Cloud, host: str) -> bool:
    return host not in simulated(cloud, A_FEW)["hosts"]


def is_used(cloud: Cloud, host: str) -> bool:
    return host in simulated(cloud, MANY_PER_HOST * len(cloud.lab.machines))["hosts"]


def terms(verdicts: list[Json], name: str) -> dict[str, float]:
    """Host → one term of a decision; without the hosts that are ruled out."""
    return {each["host_name"]: dict(each["terms"])[name] for each in verdicts if each["score"] is not None}


def term_now(cloud: Cloud, name: str, host: str) -> float:
    """Not a number while the host is ruled out."""
    return terms(simulated(cloud, 1)["first"]["verdicts"], name).get(host, math.nan)


def stands_out(told: dict[str, float], host: str, *, times: float = 1) -> bool:
    """Whether the term speaks against this host alone."""
    return host in told and times * told[host] < min(value for name, value in told.items() if name != host)


def is_told(cloud: Cloud, term: str, host: str) -> bool:
    return stands_out(terms(simulated(cloud, 1)["first"]["verdicts"], term), host, times=CLEARLY)


def wait_healthy(cloud: Cloud) -> None:
    eventually("the cluster is healthy", lambda: health.ask(cloud.lab.spec).status == "HEALTH_OK")


def assert_avoided_while_slow(cloud: Cloud, term: str, slow: Callable[[Machine], None]) -> None:
    """While guests write everywhere else: the host gets VMs, none while it is slow, and some again when it is not."""
    wait_healthy(cloud)
    machine, names = cloud.lab.machines[-1], [each.spec.name for each in cloud.lab.machines]
    host = machine.spec.name
    with busy(cloud.lab.spec, (names[number % (len(names) - 1)] for number in range(GUESTS))):
        eventually("new VMs go to the sound host", lambda: is_used(cloud, host))
        try:
            slow(machine)
            eventually(f"{term} tells", lambda: is_told(cloud, term, host))
            eventually("new VMs avoid it", lambda: is_avoided(cloud, host))
            assert_explained(cloud, term, host)
        finally:
            machine.heal()
        eventually("new VMs go there again", lambda: is_used(cloud, host))


def assert_explained(cloud: Cloud, term: str, host: str) -> None:
    """A VM is made elsewhere, and its decision says in numbers why; so does the command."""
    name = cloud.new_name()
    done = cloud.nacre("vm", "create", name, "--image", IMAGE, "--flavor", FLAVOR, "--explain")
    assert done.returncode == 0, done.stderr
    sys.stdout.write(f"{host} is slow:\n{done.stdout}")
    kept = cloud.client.get(at("vms", name, "placement"))
    told = terms(kept["verdicts"], term)
    assert kept["chosen"]["host_name"] != host
    assert stands_out(told, host), told
    assert term in done.stdout


def test_new_vms_avoid_a_host_with_a_slow_disk_and_come_back(cloud: Cloud) -> None:
    assert_avoided_while_slow(cloud, "osd_latency", lambda machine: machine.slow_disks(write_iops=SLOW_WRITES))


def test_new_vms_avoid_a_host_with_a_slow_cable_and_come_back(cloud: Cloud) -> None:
    assert_avoided_while_slow(cloud, "network", lambda machine: machine.slow_network(kbit_s=SLOW_KBIT_S))


def test_an_osd_that_died_weighs_on_its_host_until_it_is_filled_again(cloud: Cloud) -> None:
    wait_healthy(cloud)
    machine = cloud.lab.machines[-1]
    host = machine.spec.name
    sound = term_now(cloud, "osd_pressure", host)
    with refilled_later(cloud.lab.storage) as fill:
        with dead_osd(cloud, machine):
            eventually("it is down, and its copies are missing elsewhere", lambda: is_missed(cloud, host))
            assert term_now(cloud, "osd_pressure", host) == 0
            assert term_now(cloud, "osd_latency", host) == 0
            eventually("no new VM goes there", lambda: is_avoided(cloud, host))
            fill()
        try:
            machine.slow_disks(write_iops=SLOW_WRITES)  # or it might be over between two looks
            eventually("it is filled", lambda: seen(cloud, host)["pgs_recovering"] > 0)
            eventually("that weighs on it", lambda: term_now(cloud, "osd_pressure", host) < LESS * sound)
        finally:
            machine.heal()
        names = [each.spec.name for each in cloud.lab.machines]
        eventually("nothing recovers", lambda: not any(pressure(seen(cloud, name)) for name in names))
        eventually("it weighs no more", lambda: term_now(cloud, "osd_pressure", host) > LESS * sound)
        eventually("new VMs go there again", lambda: is_used(cloud, host))


@contextmanager
def dead_osd(cloud: Cloud, machine: Machine) -> Iterator[None]:
    """The host's first OSD, killed and kept down while inside."""
    osds = cloud.client.get("/v1/storage")["osds"]
    unit = next(f"ceph-osd@{osd['osd_id']}.service" for osd in osds if osd["host"] == machine.spec.name)
    machine.run(["systemctl", "kill", "--signal=KILL", unit])
    machine.run(["systemctl", "stop", unit])  # or systemd would start it again
    try:
        yield
    finally:
        machine.run(["systemctl", "start", unit])


@contextmanager
def refilled_later(storage: CephStorage) -> Iterator[Callable[[], None]]:
    """Calling it writes a little into many objects of a volume, which a dead OSD will have to be given."""
    volume, data = VolumeRef("vms", f"t{uuid.uuid4().hex[:8]}"), bytes(range(256)) * (REFILLED_BYTES // 256)
    storage.create_volume(volume, size_bytes=REFILLED_OBJECTS * OBJECT_BYTES, job_id="refill")

    def fill() -> None:
        for number in range(REFILLED_OBJECTS):
            storage.write(volume, data, offset=number * OBJECT_BYTES)

    try:
        yield fill
    finally:
        storage.remove_volume(volume)


def is_missed(cloud: Cloud, host: str) -> bool:
    others = [machine.spec.name for machine in cloud.lab.machines if machine.spec.name != host]
    return seen(cloud, host)["osds_up"] == 0 and all(seen(cloud, each)["pgs_degraded"] for each in others)


def seen(cloud: Cloud, host: str) -> Json:
    """What the storage goes through on a host, as last looked at."""
    storage: Json = cloud.host(host)["storage"]
    return storage


def pressure(storage: Json) -> int:
    return int(storage["pgs_degraded"] + storage["pgs_recovering"])
