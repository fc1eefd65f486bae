from __future__ import annotations

from itertools import product

import pytest

from service.hypervisor.migration.verdict import Presence, Verdict, judge

ENDS = {Verdict.MOVED, Verdict.STAYED, Verdict.TWICE, Verdict.GONE}


@pytest.mark.parametrize(
    ("source", "target", "verdict"),
    [
        (Presence.GONE, Presence.RUNNING, Verdict.MOVED),
        (Presence.RUNNING, Presence.GONE, Verdict.STAYED),
        (Presence.RUNNING, Presence.RUNNING, Verdict.TWICE),
        (Presence.GONE, Presence.GONE, Verdict.GONE),
        (Presence.GONE, Presence.PAUSED, Verdict.RESUME_TARGET),
        (Presence.PAUSED, Presence.GONE, Verdict.RESUME_SOURCE),
        (Presence.RUNNING, Presence.PAUSED, Verdict.CLEAR_TARGET),
        (Presence.PAUSED, Presence.PAUSED, Verdict.CLEAR_TARGET),
        (Presence.PAUSED, Presence.RUNNING, Verdict.CLEAR_SOURCE),
    ],
)
def test_two_quiet_sides_have_one_meaning(source: Presence, target: Presence, verdict: Verdict) -> None:
    assert judge(source, target) is verdict


@pytest.mark.parametrize("target", Presence)
def test_a_migration_under_way_is_followed_whatever_the_target_shows(target: Presence) -> None:
    assert judge(Presence.LEAVING, target) is Verdict.FOLLOW


@pytest.mark.parametrize(
    ("source", "target"),
    [pair for pair in product(Presence, Presence) if Presence.ARRIVING in pair and pair[0] is not Presence.LEAVING],
)
def test_nothing_is_done_to_a_side_that_is_still_changing(source: Presence, target: Presence) -> None:
    assert judge(source, target) is Verdict.SETTLE


@pytest.mark.parametrize(("source", "target"), list(product(Presence, Presence)))
def test_a_running_copy_is_never_ended_or_resumed(source: Presence, target: Presence) -> None:
    verdict = judge(source, target)
    if source is Presence.RUNNING:
        assert verdict not in (Verdict.CLEAR_SOURCE, Verdict.RESUME_SOURCE, Verdict.RESUME_TARGET)
    if target is Presence.RUNNING:
        assert verdict not in (Verdict.CLEAR_TARGET, Verdict.RESUME_TARGET, Verdict.RESUME_SOURCE)


@pytest.mark.parametrize(("source", "target"), list(product(Presence, Presence)))
def test_stayed_is_only_said_when_the_target_has_nothing(source: Presence, target: Presence) -> None:
    if judge(source, target) is Verdict.STAYED:
        assert target is Presence.GONE
