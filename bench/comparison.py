"""What a benchmark says: one JSON line per comparison, a table at the end, and whether every aim holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Comparison:
    """`ours` beside `theirs`, both measured in the same run, in `unit`. `aim` bounds the ratio ours / theirs.

    With `better` lower, the ratio must be at most the aim; with higher, at least. `n` is the number of samples a side.
    `work` says what each side does in the same time, ours first, where that differs.
    """

    bench: str
    case: str
    unit: str
    ours: float
    theirs: float
    better: Literal["lower", "higher"]
    aim: float
    n: int
    work: tuple[str, str] | None = None

    @property
    def ratio(self) -> float:
        """ours / theirs."""
        return self.ours / self.theirs

    @property
    def holds(self) -> bool:
        """Whether the aim is reached."""
        return self.ratio <= self.aim if self.better == "lower" else self.ratio >= self.aim

    def as_json(self) -> dict[str, Any]:
        """The members of the JSON line, in reading order."""
        return {
            "bench": self.bench,
            "case": self.case,
            "unit": self.unit,
            "ours": round(self.ours, 4),
            "theirs": round(self.theirs, 4),
            "ratio": round(self.ratio, 4),
            "better": self.better,
            "aim": round(self.aim, 4),
            "holds": self.holds,
            "n": self.n,
        } | (dict(zip(("ours_does", "theirs_does"), self.work, strict=True)) if self.work else {})


@dataclass(frozen=True, slots=True)
class Limit:
    """`ours` against a bound that was set beforehand, in `unit`: nobody else is measured. `aim` bounds it directly."""

    bench: str
    case: str
    unit: str
    ours: float
    better: Literal["lower", "higher"]
    aim: float
    n: int

    @property
    def holds(self) -> bool:
        """Whether the aim is reached."""
        return self.ours <= self.aim if self.better == "lower" else self.ours >= self.aim

    def as_json(self) -> dict[str, Any]:
        """The members of the JSON line, in reading order."""
        return {
            "bench": self.bench,
            "case": self.case,
            "unit": self.unit,
            "ours": round(self.ours, 4),
            "better": self.better,
            "aim": round(self.aim, 4),
            "holds": self.holds,
            "n": self.n,
        }


def tell(comparisons: Iterable[Comparison | Limit]) -> list[Comparison | Limit]:
    """Print each as a JSON line as soon as it is there; returns all of them."""
    told: list[Comparison | Limit] = []
    for comparison in comparisons:
        print(json.dumps(comparison.as_json()), flush=True)
        told.append(comparison)
    return told


def table(comparisons: Sequence[Comparison | Limit]) -> None:
    """All of them for people, on standard error: standard output holds the JSON lines only."""
    view = Table("bench", "case", "ours", "theirs", "ratio", "aim", "n", "")
    for one in comparisons:
        sign = "≤" if one.better == "lower" else "≥"
        theirs, ratio = (
            (f"{one.theirs:.3f} {one.unit}", f"{one.ratio:.3f}") if isinstance(one, Comparison) else ("", "")
        )
        view.add_row(
            one.bench, one.case, f"{one.ours:.3f} {one.unit}", theirs, ratio, f"{sign} {one.aim:.3f}", str(one.n),
            "holds" if one.holds else "falls short",
        )  # fmt: skip
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 160)
    console.print(view)
    for told in dict.fromkeys(_work(one) for one in comparisons if isinstance(one, Comparison) and one.work):
        console.print(told)


def _work(one: Comparison) -> str:
    ours, theirs = one.work or ("", "")
    return f"{one.bench} does not compare the same work. Ours: {ours}. Theirs: {theirs}."
