"""Pauses of programs that did not answer in time or took too long."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Resting:
    """Pauses by name, one object per process; times are of the monotonic clock.

    A paused program is not called, so that requests do not wait for it one after another.
    """

    _until_s: dict[str, float] = field(default_factory=dict)
    _used: dict[str, tuple[object, float]] = field(default_factory=dict)

    def rest(self, name: str, until_s: float) -> None:
        """Pause it until `until_s`."""
        self._until_s[name] = until_s

    def left_s(self, name: str, now_s: float) -> float:
        """Return the remaining seconds of its pause; 0 or less if there is none."""
        return self._until_s.get(name, now_s) - now_s

    def used(self, name: str, transaction: object, used_s: float) -> None:
        """Add to the time for which it has held up a transaction."""
        self._used[name] = (transaction, self.used_s(name, transaction) + used_s)

    def used_s(self, name: str, transaction: object) -> float:
        """Return the seconds for which it has held up this transaction."""
        last, used_s = self._used.get(name, (None, 0.0))
        return used_s if last is transaction else 0.0
