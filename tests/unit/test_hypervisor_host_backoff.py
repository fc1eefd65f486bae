"""When a silent host is due again, and what is remembered of one that answers."""

from __future__ import annotations

from random import Random

from service.hypervisor.host_backoff import LONGEST_PAUSE_S, HostBackoff
from service.hypervisor.values import HostCounters

COUNTERS = HostCounters(4, 1.0, 2.0, 8192, 100, None)


class Never(Random):
    """No jitter."""

    def random(self) -> float:
        return 0.0


def pauses(host_backoff: HostBackoff, count: int, random: Random) -> list[float]:
    told = []
    for _ in range(count):
        host_backoff.silent("h", now_s=100.0, random=random)
        told.append(host_backoff.of("h").again_s - 100.0)
    return told


def test_a_host_is_left_alone_for_longer_the_longer_it_is_silent_up_to_a_minute():
    assert pauses(HostBackoff(), 8, Never()) == [0, 0, 10, 20, 40, 60, 60, 60]


def test_no_number_of_silences_is_too_many():
    assert pauses(HostBackoff(), 3000, Never())[-1] == LONGEST_PAUSE_S


def test_hosts_that_fell_silent_together_are_not_asked_together_for_ever():
    host_backoff, random = HostBackoff(), Random(1)
    for number in range(50):
        for _ in range(6):
            host_backoff.silent(str(number), now_s=0.0, random=random)
    due = {known.again_s for known in host_backoff.hosts.values()}
    assert len(due) == 50
    assert all(45 <= moment <= 60 for moment in due)


def test_an_answer_ends_the_pauses():
    host_backoff = HostBackoff()
    pauses(host_backoff, 6, Never())
    host_backoff.answered("h", COUNTERS, {"a": 1.0})
    assert (host_backoff.of("h").silences, host_backoff.of("h").again_s) == (0, 0.0)
    assert pauses(host_backoff, 3, Never()) == [0, 0, 10]


def test_a_host_that_fell_silent_counts_from_anew_when_it_is_back():
    host_backoff = HostBackoff()
    host_backoff.answered("h", COUNTERS, {"a": 1.0})
    host_backoff.details_read("h", now_s=0.0, random=Never())
    host_backoff.silent("h", now_s=1.0, random=Never())
    known = host_backoff.of("h")
    assert (known.counters, known.guests_s, known.details_due_s) == (None, None, 0.0)


def test_hosts_that_left_the_cloud_are_forgotten():
    host_backoff = HostBackoff()
    for name in "abc":
        host_backoff.answered(name, COUNTERS, {})
    host_backoff.keep(["b", "new"])
    assert set(host_backoff.hosts) == {"b"}
