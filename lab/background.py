"""Writes to RBD from the hosts' own networks, as their guests make them, and how long they took."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from lab.errors import LabError
from lab.spec import CHECKOUT, LabSpec

BUSY_S = 600  # the longest that somebody who was killed leaves writers behind


@dataclass(frozen=True)
class Pace:
    """How much one guest writes."""

    per_second: int
    size_bytes: int

    @property
    def kbit_s(self) -> float:
        """Of data, without what the network adds."""
        return self.per_second * self.size_bytes * 8 / 1000


GENTLE = Pace(per_second=5, size_bytes=16384)


def took_s(lab: LabSpec, guests: Mapping[str, int], pace: Pace, *, seconds: int) -> list[float]:
    """How long each write took, of all guests at once; `guests` maps a host's name to how many run there.

    LabError when a guest could not write.
    """
    writers: list[subprocess.Popen[str]] = []
    try:
        for host in (host for host, count in guests.items() for _ in range(count)):
            writers.append(_writer(lab, host, pace, seconds))
        printed = [each.communicate()[0] for each in writers]
    finally:
        _end(writers)
    if any(each.returncode for each in writers):
        raise LabError(f"Guests of lab {lab.name} cannot write: is it healthy? `make status LAB={lab.name}` tells.")
    return [float(line) for text in printed for line in text.split()]


@contextmanager
def busy(lab: LabSpec, hosts: Iterable[str], pace: Pace = GENTLE) -> Iterator[None]:
    """One guest that writes on each of these hosts while inside. Heal what is slow first, or its last writes last."""
    writers: list[subprocess.Popen[str]] = []
    try:
        for host in hosts:
            writers.append(_writer(lab, host, pace, BUSY_S))
        yield
    finally:
        _end(writers)


def percentile_ms(took: list[float], share: float) -> float:
    """The time that this share of the writes did not exceed."""
    return 1000 * sorted(took)[min(len(took) - 1, int(len(took) * share))]


def _writer(lab: LabSpec, host: str, pace: Pace, seconds: int) -> subprocess.Popen[str]:
    """One guest's writes from the network of `host`. Its device has a name that the lab's tests sweep away."""
    control, device = lab.folder / "control", f"t{uuid.uuid4().hex[:8]}"
    files = [str(control / "ceph.conf"), str(control / "ceph.client.nacre.keyring")]
    numbers = [str(number) for number in (seconds, pace.per_second, pace.size_bytes)]
    label = next(machine.label for machine in lab.machines if machine.name == host)
    words = ["ip", "netns", "exec", label, sys.executable, "-m", "lab.guest_writes", *files, device, *numbers]
    # A session of its own: Ctrl-C is for whoever started it, who ends it in good order.
    return subprocess.Popen(words, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, start_new_session=True)


def _end(writers: list[subprocess.Popen[str]]) -> None:
    """Those that still write: all at once, and then wait until each has removed its device."""
    for each in writers:
        each.terminate()  # nothing happens to one that was waited for
    for each in writers:
        if each.stdout is not None and not each.stdout.closed:
            each.communicate()
