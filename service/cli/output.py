"""Tables for people, JSON for programs."""

from __future__ import annotations

import enum
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

Json = dict[str, Any]
Column = tuple[str, Callable[[Json], object]]

# What is piped on is cut by whoever reads it, not folded here.
PIPE_COLUMNS = 10_000


def _columns(stream: TextIO) -> int | None:
    return None if stream.isatty() else PIPE_COLUMNS


console = Console(highlight=False, width=_columns(sys.stdout))
notes = Console(stderr=True, highlight=False, width=_columns(sys.stderr))


class Format(enum.StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"


def print_json(document: object) -> None:
    """Print JSON, indented. ASCII, so that no character in it is one that a terminal obeys."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def print_rows(rows: Iterable[Json], columns: Iterable[Column], how: Format) -> None:
    """Print a collection."""
    rows, columns = list(rows), list(columns)
    if how is Format.JSON:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, _ in columns:
        table.add_column(heading, overflow="fold", no_wrap=heading == "ID")  # an id is there to be copied
    for row in rows:
        table.add_row(*(_cell(heading, value(row)) for heading, value in columns))
    _print_table(table)


def print_one(row: Mapping[str, Any], how: Format) -> None:
    """Print one object, a line per field."""
    if how is Format.JSON:
        print_json(row)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in row.items():
        table.add_row(key, plain(value))
    _print_table(table)


def _cell(heading: str, value: object) -> Text:
    """A reason is cut at the terminal's edge: it stands in full in `show`, in JSON and in a pipe."""
    text = plain(value)
    if heading == "WHY":
        text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _print_table(table: Table) -> None:
    """Without the spaces that fill up the last column."""
    with console.capture() as printed:
        console.print(table)
    sys.stdout.write("".join(line.rstrip() + "\n" for line in printed.get().splitlines()))


def plain(value: object) -> Text:
    """A value as text that no markup and no control character can disguise."""
    if value is None:
        return Text("-")
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    return Text("".join(char if char.isprintable() else "\ufffd" for char in text))


def age(seconds: float) -> str:
    """A time span as a person reads it, in one unit."""
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def size(count: int | None) -> str:
    """Bytes as a person reads them."""
    if count is None:
        return "-"
    number = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if number < 1024 or unit == "TiB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    raise AssertionError("unreachable")
