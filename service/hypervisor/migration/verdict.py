"""Verdict on a migration from both sides' presence: a pure table of all cases.

libvirt's migration ends in a hand-over whose last reply can get lost: the source then resumes its guest while the
target has a complete copy. Guests arrive paused, so the copy never runs by itself: the control plane decides.
"""

from __future__ import annotations

from enum import Enum


class Presence(Enum):
    """Presence of a VM on one host."""

    GONE = "gone"
    RUNNING = "running"  # or stopped by an I/O error, or shutting down: it has run here and may run again
    PAUSED = "paused"
    LEAVING = "leaving"  # an outgoing migration is under way
    ARRIVING = "arriving"  # an incoming one is


class Verdict(Enum):
    """An end (moved, stayed, twice, gone), or an action before the next check."""

    MOVED = "moved"
    STAYED = "stayed"
    TWICE = "twice"
    GONE = "gone"
    FOLLOW = "follow"  # a migration is under way: wait for its end
    SETTLE = "settle"  # one side is about to change by itself
    RESUME_TARGET = "resume_target"  # the source has ended: the copy is the guest
    RESUME_SOURCE = "resume_source"  # no copy is left: resume the original
    CLEAR_TARGET = "clear_target"  # the original runs, or will: end the copy, which never ran
    CLEAR_SOURCE = "clear_source"  # the copy runs: the rest of the original must never be resumed


_TABLE = {
    (Presence.GONE, Presence.GONE): Verdict.GONE,
    (Presence.GONE, Presence.RUNNING): Verdict.MOVED,
    (Presence.GONE, Presence.PAUSED): Verdict.RESUME_TARGET,
    (Presence.RUNNING, Presence.GONE): Verdict.STAYED,
    (Presence.RUNNING, Presence.RUNNING): Verdict.TWICE,
    (Presence.RUNNING, Presence.PAUSED): Verdict.CLEAR_TARGET,
    (Presence.PAUSED, Presence.GONE): Verdict.RESUME_SOURCE,
    (Presence.PAUSED, Presence.RUNNING): Verdict.CLEAR_SOURCE,
    (Presence.PAUSED, Presence.PAUSED): Verdict.CLEAR_TARGET,
}


def judge(source: Presence, target: Presence) -> Verdict:
    """Return the verdict for the two sides.

    The target must have been checked between two equal checks of the source: then a paused copy beside a running
    original belongs to a failed attempt, and is never one that is just arriving.
    """
    if source is Presence.LEAVING:
        return Verdict.FOLLOW
    return _TABLE.get((source, target), Verdict.SETTLE)
