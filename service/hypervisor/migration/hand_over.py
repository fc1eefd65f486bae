"""Hand-over of a guest between hosts, from the events of both sides."""

from __future__ import annotations

import time

from service.hypervisor.events import Signal, Watch

EVENT_S = 1.0  # possible delay of an event after the call that caused it
HAND_OVER_S = 3.0  # from the complete copy to the end of the source; usually a few tenths


class HandOver:
    """Signals of source and target since the migration was first checked."""

    def __init__(self, source: Watch, target: Watch) -> None:
        self._source = source
        self._target = target
        self._left: list[Signal] = []
        self._landed: list[Signal] = []

    def wait(self, timeout_s: float) -> None:
        """Wait for a signal of the source, at most `timeout_s`."""
        signal = self._source.next(timeout_s)
        if signal is not None:
            self._left.append(signal)

    def overdue(self) -> bool:
        """Return True if the target has the whole guest and the source should have ended.

        The target emits these signals only once it has the whole guest.
        """
        self._drain()
        complete = [signal.at_s for signal in self._landed if signal.kind in ("suspended", "resumed")]
        return bool(complete) and time.monotonic() - complete[0] > HAND_OVER_S

    def source_resumed(self) -> bool:
        """Return True if the original was resumed after its stop for the hand-over.

        The copy is then outdated.
        """
        self._drain()
        kinds = [signal.kind for signal in self._left]
        return "suspended" in kinds and "resumed" in kinds[kinds.index("suspended") :]

    def downtime_ms(self) -> int | None:
        """Return the time between the guest's stop on the source and resume on the target.

        None if not both were observed. libvirt's own number ends before a guest that arrived paused is resumed, so it
        is too small.
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
