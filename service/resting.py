"""What did not answer in time, or took long enough, is left alone, so that not everybody waits for it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Resting:
    """One per process. Times are those of the monotonic clock."""

    _until_s: dict[str, float] = field(default_factory=dict)
    _used: dict[str, tuple[object, float]] = field(default_factory=dict)

    def rest(self, name: str, until_s: float) -> None:
        """Leave it alone until then."""
        self._until_s[name] = until_s

    def left_s(self, name: str, now_s: float) -> float:
        """How long it is still left alone; 0 or less when it is not."""
        return self._until_s.get(name, now_s) - now_s

    def used(self, name: str, transaction: object, used_s: float) -> None:
        """It kept a transaction, and all that wait for it, busy for so long."""
        self._used[name] = (transaction, self.used_s(name, transaction) + used_s)

    def used_s(self, name: str, transaction: object) -> float:
        """How long it kept this transaction busy so far."""
        last, used_s = self._used.get(name, (None, 0.0))
        return used_s if last is transaction else 0.0
