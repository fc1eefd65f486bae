"""What two looks at one VM mean for its migration: a pure table, so that every case is written down and tested.

libvirt's migration ends in a hand-over whose last reply can get lost: the source then lets its guest run again while
the target holds a complete copy. Guests land paused, so that copy never runs by itself: who looks at both decides.
"""

from __future__ import annotations

from enum import Enum


class Presence(Enum):
    """A VM on one host."""

    GONE = "gone"
    RUNNING = "running"  # or stopped by an I/O error, or shutting down: it has begun to act here and may act again
    PAUSED = "paused"
    LEAVING = "leaving"  # an outgoing migration is under way
    ARRIVING = "arriving"  # an incoming one is


class Verdict(Enum):
    """An end (moved, stayed, twice, gone), or what to do before looking again."""

    MOVED = "moved"
    STAYED = "stayed"
    TWICE = "twice"
    GONE = "gone"
    FOLLOW = "follow"  # a migration is under way: wait for its end
    SETTLE = "settle"  # one side is about to change by itself
    RESUME_TARGET = "resume_target"  # the source has let go: the copy is the guest
    RESUME_SOURCE = "resume_source"  # no copy is left: the original goes on
    CLEAR_TARGET = "clear_target"  # the original runs, or will: the copy never ran and goes
    CLEAR_SOURCE = "clear_source"  # the copy runs: what is left of the original must never wake


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
    """What the two sides together mean. The target must have been looked at between two equal looks at the source:
    then a copy that is seen paused beside a running original is a dead attempt's, never one that is just arriving."""
    if source is Presence.LEAVING:
        return Verdict.FOLLOW
    return _TABLE.get((source, target), Verdict.SETTLE)
