"""The moment a guest changes hosts, as the events of both sides tell it."""

from __future__ import annotations

import time

from service.hypervisor.events import Signal, Watch

EVENT_S = 1.0  # how far an event may be behind the call that caused it
HAND_OVER_S = 3.0  # from the copy being complete to the source having ended; a few tenths are usual


class HandOver:
    """What was signalled on the source and on the target since the migration was first looked at."""

    def __init__(self, source: Watch, target: Watch) -> None:
        self._source = source
        self._target = target
        self._left: list[Signal] = []
        self._landed: list[Signal] = []

    def wait(self, timeout_s: float) -> None:
        """Until something happens on the source, at most `timeout_s`."""
        signal = self._source.next(timeout_s)
        if signal is not None:
            self._left.append(signal)

    def overdue(self) -> bool:
        """The target has the whole guest (only then does it signal one of these) and the source should have ended."""
        self._drain()
        complete = [signal.at_s for signal in self._landed if signal.kind in ("suspended", "resumed")]
        return bool(complete) and time.monotonic() - complete[0] > HAND_OVER_S

    def source_went_on(self) -> bool:
        """Whether the original ran again after it had been stopped for the hand-over: the copy is outdated then."""
        self._drain()
        kinds = [signal.kind for signal in self._left]
        return "suspended" in kinds and "resumed" in kinds[kinds.index("suspended") :]

    def downtime_ms(self) -> int | None:
        """From the guest's last moment on the source to its first on the target; None when not both were seen.

        libvirt's own number ends before a guest that landed paused is resumed, so it is too small.
        """
        self._drain()
        before = [signal.at_s for signal in self._left if signal.kind == "suspended"]
        if not before:
            return None
        while (after := self._resumed_since(before[-1])) is None:
            signal = self._target.next(EVENT_S)
            if signal is None:
                return None
            self._landed.append(signal)
        return round((after - before[-1]) * 1000)

    def _resumed_since(self, moment_s: float) -> float | None:
        return next(
            (signal.at_s for signal in self._landed if signal.kind == "resumed" and signal.at_s > moment_s), None
        )

    def _drain(self) -> None:
        self._left += iter(lambda: self._source.next(0), None)
        self._landed += iter(lambda: self._target.next(0), None)
