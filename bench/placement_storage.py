"""What guests' writes take where each algorithm places them while one host's cable is slow. Needs `make up`.

Guests are writers to RBD in their hosts' own networks (`lab/guest_writes.py`): a lab of virtual CPUs would measure its
emulator. The cable is put right at the end and on Ctrl-C; what a run that was killed has left, the next one puts right.
"""

from __future__ import annotations

import math
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from bench.comparison import Comparison
from lab import service as lab_service
from lab import store
from lab.background import Pace, busy, percentile_ms, took_s
from lab.machine import Machine
from lab.machines import machines
from lab.spec import LabSpec
from service.cli.client import Client, Json
from service.cli.config import Config

OURS, BLIND = "storage_cpu", ("pack", "spread")
FLAVOR, GUESTS = "small", 8
PACE = Pace(per_second=2, size_bytes=65536)
TURNS, MEASURED_S = 5, 10
COPIES = 3
BESIDE = 1.15  # headers, answers, and what monitors, managers and heartbeats say: times the data
NOTICE_S = 180.0
SHARE = 0.99

Placement = Mapping[str, int]  # host → guests


def run() -> Iterator[Comparison]:
    """Both comparisons, on the lab that LAB names (demo)."""
    remembered = store.load(os.environ.get("LAB", "demo"))
    if remembered is None:
        raise SystemExit("This benchmark needs a cluster: run `make up` first.")
    lab, every = remembered.spec, machines(remembered)
    client = Client(Config(lab_service.url(lab), lab_service.token_file(lab).read_text().strip(), ssh_key=None))
    with _healed(every):
        placements = {name: _simulated(client, name) for name in BLIND}
        slow = max(every, key=lambda machine: placements["pack"].get(machine.spec.name, 0))
        slow.slow_network(kbit_s=_kbit_s(client, slow.spec.name))
        placements = {OURS: _noticed(lab, client, slow.spec.name)} | placements
        took = _in_turns(lab, placements)
    print(f"{slow.spec.name}'s cable is slow; guests: {placements}; p99 in ms: {took}", file=sys.stderr)
    for name in BLIND:
        case = f"write p99 of {GUESTS} guests, one host's cable slow, beside {name}"
        ours, theirs = statistics.median(took[OURS]), statistics.median(took[name])
        yield Comparison("placement_storage", case, "ms", ours, theirs, "lower", 1.0, TURNS)


@contextmanager
def _healed(every: tuple[Machine, ...]) -> Iterator[None]:
    """No machine is slow before and after, whatever ends it: Ctrl-C and a polite kill are exceptions inside."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        _heal(every)
        yield
    finally:
        _heal(every)
        signal.signal(signal.SIGTERM, before)


def _heal(every: tuple[Machine, ...]) -> None:
    for machine in every:
        machine.heal()


def _simulated(client: Client, algorithm: str) -> dict[str, int]:
    body: Json = {"vms": [{"flavor": FLAVOR, "count": GUESTS}], "algorithm": algorithm}
    hosts: dict[str, int] = client.post("/v1/placements:simulate", body)["vms"][0]["hosts"]
    return hosts


def _kbit_s(client: Client, host: str) -> int:
    """More than the copies need that go to the host wherever guests run, less than if all guests ran there.

    Of all that guests write, in units of the data: `copies` have one here, `first` of them their first one. Guests
    elsewhere send `copies` in. Guests here send out what is first elsewhere, and the OSDs send on what is first here.
    """
    copies = client.get(f"/v1/hosts/{host}")["storage"]["local_reads"]["vms"]
    first = copies / COPIES
    elsewhere, here = copies, (1 - first) + (COPIES - 1) * first
    return round(math.sqrt(elsewhere * here) * GUESTS * PACE.kbit_s * BESIDE)


def _noticed(lab: LabSpec, client: Client, slow: str) -> dict[str, int]:
    """Where ours places, once it avoids the slow host while guests write elsewhere."""
    others = [machine.name for machine in lab.machines if machine.name != slow]
    with busy(lab, (others[number % len(others)] for number in range(GUESTS)), PACE):
        return _once(lambda: _simulated(client, OURS), lambda placement: slow not in placement)


def _once(look: Callable[[], dict[str, int]], holds: Callable[[dict[str, int]], bool]) -> dict[str, int]:
    deadline = time.monotonic() + NOTICE_S
    while not holds(found := look()):
        if time.monotonic() > deadline:
            raise SystemExit(f"{OURS} still places on the host with the slow cable after {NOTICE_S:.0f} s: {found}")
        time.sleep(1)  # facts come by rounds, and send no event
    return found


def _in_turns(lab: LabSpec, placements: Mapping[str, Placement]) -> dict[str, list[float]]:
    """Each turn's p99 in ms; every turn begins with another one, so that what else goes on hits all alike."""
    took: dict[str, list[float]] = {name: [] for name in placements}
    names = list(placements)
    for turn in range(TURNS):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            writes = took_s(lab, placements[name], PACE, seconds=MEASURED_S)
            took[name].append(round(percentile_ms(writes, SHARE), 1))
    return took
