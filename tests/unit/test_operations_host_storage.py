"""Which of the storage's numbers reach a host's row, and when."""

from __future__ import annotations

import pytest

from service.operations.observe.host_storage import NO_NUMBER, is_same, smoothed

KEPT = {"op_latency_ms": 20.0, "ping_ms": None, "slow_ops": 0, "local_reads": {"vms": 0.75}}


@pytest.mark.parametrize(
    ("before", "seen", "told"),
    [(None, 400.0, 400.0), (4.0, 400.0, 40.0), (400.0, 4.0, 40.0), (8.0, None, 2.0), (1.9, None, None)],
)
def test_half_of_a_latency_is_new_and_without_data_it_fades(
    before: float | None, seen: float | None, told: float | None
) -> None:
    assert smoothed(before, seen) == told


def test_an_osd_that_took_seconds_is_fast_again_after_four_looks() -> None:
    told: float | None = 5000.0
    for _ in range(4):
        told = smoothed(told, 5.0)
    assert told is not None
    assert told < 8


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), -5.0, 1e300])
def test_a_latency_that_cannot_be_is_told_as_such_and_leaves_no_trace(nonsense: float) -> None:
    told = smoothed(2.0, nonsense)
    assert told == NO_NUMBER, "what placement/check.py rules out, and JSON can hold"
    assert smoothed(None, nonsense) == NO_NUMBER
    assert smoothed(told, 3.0) == 3.0


def test_a_latency_of_nothing_does_not_hide_what_comes_after() -> None:
    told = smoothed(0.0, 400.0)
    assert told is not None
    assert told > 1


def test_nothing_known_before_and_now_stays_unknown() -> None:
    assert smoothed(None, None) is None


@pytest.mark.parametrize(
    ("told", "same"),
    [
        ({}, True),
        ({"op_latency_ms": 21.9}, True),
        ({"op_latency_ms": 22.1}, False),
        ({"op_latency_ms": None}, False),
        ({"ping_ms": 0.1}, False),
        ({"slow_ops": 1}, False),
        ({"local_reads": {"vms": 0.76}}, False),
    ],
)
def test_only_what_a_decision_could_tell_apart_is_new(told: dict, same: bool) -> None:
    assert is_same(KEPT, KEPT | told) is same


def test_a_host_whose_osds_are_all_gone_is_another_host() -> None:
    assert not is_same(KEPT, None)
    assert is_same(None, None)
