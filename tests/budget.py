"""Time budget of a run of pytest: `--budget 'lab 14'` (minutes). Passing over it changes a line of the summary only.

`--budget 'unit 10 cpu'` counts the minutes of CPU that the run and all its processes take, whatever runs beside them.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import NamedTuple, NoReturn

import pytest

BEGAN_S = pytest.StashKey[float]()


class Budget(NamedTuple):
    """What is run, and how long it may take."""

    name: str
    seconds: float
    of_cpu: bool = False


def parse(text: str) -> Budget:
    """Read `NAME MINUTES [cpu]`; argparse.ArgumentTypeError when it is not that."""
    words = text.removesuffix(" cpu")
    name, _, minutes = words.rpartition(" ")
    try:
        return Budget(name.strip() or _refuse(text), float(minutes) * 60, words != text)
    except ValueError:
        _refuse(text)


def line(budget: Budget, took_s: float) -> str:
    """Return the line of the summary that compares a run's time with its budget."""
    over_s = took_s - budget.seconds
    verdict = f" OVER by {duration(over_s)}:" if over_s > 0 else ""
    unit = " CPU" if budget.of_cpu else ""
    return f"budget: {budget.name}{verdict} {duration(took_s)} of {duration(budget.seconds)}{unit}"


def duration(seconds: float) -> str:
    """Format seconds as people say them: `13 min 20 s`, `14 min`, `7 s`."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Called by pytest."""
    parser.addoption(
        "--budget", type=parse, metavar="'NAME MINUTES [cpu]'", help="tell how the time of this run compares"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest, before anything is brought up or collected."""
    config.stash[BEGAN_S] = time.monotonic()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Called by pytest, after the last test."""
    budget = config.getoption("--budget")
    if budget is not None:
        took_s = sum(os.times()[:4]) if budget.of_cpu else time.monotonic() - config.stash[BEGAN_S]
        terminalreporter.write_line(line(budget, took_s))


def _refuse(text: str) -> NoReturn:
    raise argparse.ArgumentTypeError(f"{text!r} is no budget: give a name and minutes, like 'lab 14'")
