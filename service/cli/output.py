"""Output: tables for people, JSON for programs."""

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

# In a pipe, tables are not folded: the next program cuts lines.
PIPE_COLUMNS = 10_000


def _columns(stream: TextIO) -> int | None:
    return None if stream.isatty() else PIPE_COLUMNS


console = Console(highlight=False, width=_columns(sys.stdout))
notes = Console(stderr=True, highlight=False, width=_columns(sys.stderr))


class Format(enum.StrEnum):
    """Format of a result."""

    TABLE = "table"
    JSON = "json"


def print_json(document: object) -> None:
    """Print indented JSON, in ASCII so that it contains no terminal control character."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def print_rows(rows: Iterable[Json], columns: Iterable[Column], how: Format) -> None:
    """Print a collection."""
    rows, columns = list(rows), list(columns)
    if how is Format.JSON:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, _ in columns:
        # Ids and kinds stay whole so that they can be copied; other columns shrink first.
        table.add_column(heading, overflow="fold", no_wrap=heading in ("ID", "KIND"))
    for row in rows:
        table.add_row(*(_cell(heading, value(row)) for heading, value in columns))
    _print_table(table)


def print_one(row: Mapping[str, Any], how: Format, tables: Mapping[str, Iterable[Column]] | None = None) -> None:
    """Print one object, one line per field.

    Fields named in `tables` are lists of objects: each is printed as a table below.
    """
    if how is Format.JSON:
        print_json(row)
        return
    tables = tables or {}
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in row.items():
        if key not in tables:
            table.add_row(key, plain(_readable(key, value)))
    _print_table(table)
    for key, columns in tables.items():
        if row.get(key):
            sys.stdout.write("\n")
            print_rows(row[key], columns, how)


def _readable(key: str, value: object) -> object:
    """Return a field's value in a form that is easy to read."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and key.endswith("_bytes"):
        return size(value)
    if isinstance(value, dict) and _is_shallow(value):
        return ", ".join(f"{name} {_inner(name, part)}" for name, part in value.items()) or None
    if isinstance(value, list) and _is_flat(value):
        return ", ".join(map(str, value)) or None
    if isinstance(value, list) and all(isinstance(part, dict) and part.keys() == {"id", "name"} for part in value):
        return ", ".join(part["name"] for part in value)
    return None if value == "" else value


def _is_flat(values: Iterable[object]) -> bool:
    return not any(value and isinstance(value, dict | list) for value in values)


def _is_shallow(value: dict[str, Any]) -> bool:
    """Return True if all values are scalars, flat lists or mappings, or lists of flat mappings."""
    lists = (part if isinstance(part, list) else [part] for part in value.values())
    return all(
        not isinstance(item, list) and _is_flat(item.values() if isinstance(item, dict) else ())
        for items in lists
        for item in items
    )


def _inner(key: str, value: object) -> str:
    """Return a nested value as text, in parentheses if it has parts."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return " ".join(_inner(key, part) for part in value)
    text = str(plain(_readable(key, value)))
    return f"({text})" if value and isinstance(value, dict | list) else text


def _cell(heading: str, value: object) -> Text:
    """Return a cell; a reason is cut at the terminal's width, since `show` and JSON have all of it."""
    text = plain(value)
    if heading == "REASON":
        text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _print_table(table: Table) -> None:
    """Print a table without trailing spaces."""
    with console.capture() as printed:
        console.print(table)
    sys.stdout.write("".join(line.rstrip() + "\n" for line in printed.get().splitlines()))


def plain(value: object) -> Text:
    """Return a value as text without markup; unprintable characters become U+FFFD."""
    if value is None:
        return Text("-")
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    return Text("".join(char if char.isprintable() else "\ufffd" for char in text))


def age(seconds: float) -> str:
    """Return a time span in seconds as text in one unit: d, h, min or s."""
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def size(count: int | None) -> str:
    """Return a number of bytes as text in B to TiB; "-" for None."""
    if count is None:
        return "-"
    number = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if number < 1024 or unit == "TiB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    raise AssertionError("unreachable")
