"""A process's state of the hosts between two polls: last counters and backoff.

It is not persisted: a new process polls every host at once and reports no loads until its second poll.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random

from service.hypervisor.values import HostCounters

FAILURES_WITHOUT_PAUSE = 2  # failed polls in a row before the backoff begins: a restart of libvirtd needs no pause
FIRST_PAUSE_S = 10.0
LONGEST_PAUSE_S = 60.0
DETAILS_EVERY_S = 300.0
JITTER = 0.25  # random share of a pause: hosts that became unreachable together are not polled together


@dataclass(slots=True)
class Remembered:
    """State of one host.

    Moments are seconds of the process's monotonic clock; `guests_s` is CPU time by VM id.
    """

    silences: int = 0
    again_s: float = 0.0
    counters: HostCounters | None = None
    guests_s: Mapping[str, float] | None = None
    details_due_s: float = 0.0


@dataclass(slots=True)
class HostBackoff:
    """Backoff state of a process's hosts, by id. Used by one thread at a time.

    A host that stays unreachable is polled again after at most `longest_pause_s`.
    """

    first_pause_s: float = FIRST_PAUSE_S
    longest_pause_s: float = LONGEST_PAUSE_S
    hosts: dict[str, Remembered] = field(default_factory=dict)

    def of(self, host_id: str) -> Remembered:
        """Return the state of a host, empty at first."""
        return self.hosts.setdefault(host_id, Remembered())

    def keep(self, host_ids: Iterable[str]) -> None:
        """Drop the state of all other hosts: they have left the cloud."""
        wanted = set(host_ids)
        for host_id in self.hosts.keys() - wanted:
            del self.hosts[host_id]

    def silent(self, host_id: str, *, now_s: float, random: Random) -> None:
        """Record a failed poll; each one in a row doubles the pause before the next."""
        known = self.of(host_id)
        known.silences += 1
        longer = known.silences - FAILURES_WITHOUT_PAUSE - 1
        pause_s = 0.0 if longer < 0 else min(self.longest_pause_s, self.first_pause_s * 2.0 ** min(longer, 16))
        known.again_s = now_s + pause_s * (1 - JITTER * random.random())
        known.counters, known.guests_s, known.details_due_s = None, None, 0.0

    def answered(self, host_id: str, counters: HostCounters, guests_s: Mapping[str, float]) -> None:
        """Record a successful poll and its counters, to be subtracted from the next ones."""
        known = self.of(host_id)
        known.silences, known.again_s = 0, 0.0
        known.counters, known.guests_s = counters, guests_s or None

    def details_read(self, host_id: str, *, now_s: float, random: Random) -> None:
        """Record that the facts were read; jitter spreads the next reads over rounds."""
        self.of(host_id).details_due_s = now_s + DETAILS_EVERY_S * (1 - JITTER * random.random())
