"""A run as a list of named stages, each with one progress line: what it did and how long it took."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape


@dataclass(frozen=True)
class Stage:
    """One named part of a run; `work` does it and says in a few words what came out."""

    name: str
    work: Callable[[], str]


def run_stages(stages: Sequence[Stage], console: Console) -> None:
    """Run the stages in order; the first error ends the run."""
    for stage in stages:
        start = time.monotonic()
        with console.status(f"{stage.name} …"):
            outcome = stage.work()
        console.print(
            f"[bold]{stage.name:<10}[/] {time.monotonic() - start:6.1f} s  {escape(outcome)}", highlight=False
        )
