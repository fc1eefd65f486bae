"""What a process remembers of the hosts between two looks: counters to subtract, and when a silent one is due again.

Forgotten with the process: a new one asks every host at once and has no loads to tell until its second look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random

from service.hypervisor.values import HostCounters

AT_EVERY_LOOK = 2  # silences in a row after which a host is not left alone yet: a restart of its libvirtd, say
FIRST_PAUSE_S = 10.0
LONGEST_PAUSE_S = 60.0
DETAILS_EVERY_S = 300.0
JITTER = 0.25  # so much of a pause is left to chance: hosts that fell silent together are not asked together


@dataclass(slots=True)
class Remembered:
    """One host. Moments are seconds of the process's monotonic clock; `guests_s`: CPU time by VM id."""

    silences: int = 0
    again_s: float = 0.0
    counters: HostCounters | None = None
    guests_s: Mapping[str, float] | None = None
    details_due_s: float = 0.0


@dataclass(slots=True)
class HostBackoff:
    """The hosts of one process, by id. Used by one thread at a time. The pauses are set for a host that is silent for
    long: at most `longest_pause_s` pass before it is asked again."""

    first_pause_s: float = FIRST_PAUSE_S
    longest_pause_s: float = LONGEST_PAUSE_S
    hosts: dict[str, Remembered] = field(default_factory=dict)

    def of(self, host_id: str) -> Remembered:
        """What is remembered of a host; nothing yet, perhaps."""
        return self.hosts.setdefault(host_id, Remembered())

    def keep(self, host_ids: Iterable[str]) -> None:
        """Forget all others: they are no longer the cloud's."""
        wanted = set(host_ids)
        for host_id in self.hosts.keys() - wanted:
            del self.hosts[host_id]

    def silent(self, host_id: str, *, now_s: float, random: Random) -> None:
        """The host has not answered: each time in a row it is left alone for longer."""
        known = self.of(host_id)
        known.silences += 1
        longer = known.silences - AT_EVERY_LOOK - 1
        pause_s = 0.0 if longer < 0 else min(self.longest_pause_s, self.first_pause_s * 2.0 ** min(longer, 16))
        known.again_s = now_s + pause_s * (1 - JITTER * random.random())
        known.counters, known.guests_s, known.details_due_s = None, None, 0.0

    def answered(self, host_id: str, counters: HostCounters, guests_s: Mapping[str, float]) -> None:
        """The host is there; the counters are those to subtract next time."""
        known = self.of(host_id)
        known.silences, known.again_s = 0, 0.0
        known.counters, known.guests_s = counters, guests_s or None

    def details_read(self, host_id: str, *, now_s: float, random: Random) -> None:
        """What the host is made of is known for a while; not all hosts are asked again in the same round."""
        self.of(host_id).details_due_s = now_s + DETAILS_EVERY_S * (1 - JITTER * random.random())
