"""When a silent host is due again, and what is remembered of one that answers."""

from __future__ import annotations

from random import Random

from service.hypervisor.lookout import LONGEST_PAUSE_S, Lookout
from service.hypervisor.values import HostCounters

COUNTERS = HostCounters(4, 1.0, 2.0, 8192, 100, None)


class Never(Random):
    """No jitter."""

    def random(self) -> float:
        return 0.0


def pauses(lookout: Lookout, count: int, random: Random) -> list[float]:
    told = []
    for _ in range(count):
        lookout.silent("h", now_s=100.0, random=random)
        told.append(lookout.of("h").again_s - 100.0)
    return told


def test_a_host_is_left_alone_for_longer_the_longer_it_is_silent_up_to_a_minute():
    assert pauses(Lookout(), 8, Never()) == [0, 0, 10, 20, 40, 60, 60, 60]


def test_no_number_of_silences_is_too_many():
    assert pauses(Lookout(), 3000, Never())[-1] == LONGEST_PAUSE_S


def test_hosts_that_fell_silent_together_are_not_asked_together_for_ever():
    lookout, random = Lookout(), Random(1)
    for number in range(50):
        for _ in range(6):
            lookout.silent(str(number), now_s=0.0, random=random)
    due = {known.again_s for known in lookout.hosts.values()}
    assert len(due) == 50
    assert all(45 <= moment <= 60 for moment in due)


def test_an_answer_ends_the_pauses():
    lookout = Lookout()
    pauses(lookout, 6, Never())
    lookout.answered("h", COUNTERS, {"a": 1.0})
    assert (lookout.of("h").silences, lookout.of("h").again_s) == (0, 0.0)
    assert pauses(lookout, 3, Never()) == [0, 0, 10]


def test_a_host_that_fell_silent_counts_from_anew_when_it_is_back():
    lookout = Lookout()
    lookout.answered("h", COUNTERS, {"a": 1.0})
    lookout.details_read("h", now_s=0.0, random=Never())
    lookout.silent("h", now_s=1.0, random=Never())
    known = lookout.of("h")
    assert (known.counters, known.guests_s, known.details_due_s) == (None, None, 0.0)


def test_hosts_that_left_the_cloud_are_forgotten():
    lookout = Lookout()
    for name in "abc":
        lookout.answered(name, COUNTERS, {})
    lookout.keep(["b", "new"])
    assert set(lookout.hosts) == {"b"}
