"""Commands nacre host history and nacre vm history."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli import host, vm
from service.cli.client import Json, at
from service.cli.output import Column, Format, age, console, notes, plain, print_json, print_rows, size
from service.cli.session import Output, client

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 60
BESIDE = 56  # columns for a number's name and its values
UNITS = ("_mib", "_bytes", "_ms")  # at the end of a number's name; its values are shown with their unit
COLUMNS: tuple[Column, ...] = (
    ("", lambda row: row["name"]),
    ("MIN", lambda row: row["min"]),
    ("MEAN", lambda row: row["mean"]),
    ("MAX", lambda row: row["max"]),
    ("LAST", lambda row: row["last"]),
    ("OVER TIME", lambda row: row["bars"]),
)
Begin = Annotated[
    str,
    typer.Option(
        "--since", help="Start: a time span before --until (30min, 24h, 7d), or a time like 2030-01-31T12:00:00Z."
    ),
]
End = Annotated[str, typer.Option("--until", help="End, as a time (default: now).")]
Step = Annotated[
    int | None, typer.Option("--step", help="Seconds per point; larger if measurements were stored in larger steps.")
]


@vm.app.command("history")
def vm_history(
    name: vm.Name, since: Begin = "1h", until: End = "", step: Step = None, output: Output = Format.TABLE
) -> None:
    """Show a VM's resource usage over time.

    With --output json every point is printed.
    """
    _show(_past("vms", name, since, until, step), output)


@host.app.command("history")
def host_history(
    name: host.Name, since: Begin = "1h", until: End = "", step: Step = None, output: Output = Format.TABLE
) -> None:
    """Show a host's load over time and its forecast.

    With --output json every point is printed.
    """
    past = _past("hosts", name, since, until, step)
    _show(past, output)
    if output is Format.TABLE:
        notes.print(plain(_format_outlook(past["outlook"])))


def _past(kind: str, name: str, since: str, until: str, step: int | None) -> Json:
    query: dict[str, str | int | None] = {"from": since, "to": until or None, "step": step}
    return client().get(at(kind, name, "history"), **{key: value for key, value in query.items() if value is not None})


def _show(past: Json, how: Format) -> None:
    """Print every number that the points have."""
    if how is Format.JSON:
        print_json(past)
    elif not past["points"]:
        notes.print(plain("there are no measurements of this time span"))
    else:
        rows = (_row(field, past["points"]) for field in past["points"][0] if field != "at")
        print_rows([row for row in rows if row], COLUMNS, how)
        first, last = past["points"][0]["at"], past["points"][-1]["at"]
        notes.print(plain(f"{first} to {last}, in steps of {age(past['step_s'])}"))


def heading(field: str) -> str:
    """Return a number's heading: osd_latency_ms is OSD LATENCY, read_bps is READ /S."""
    name = next((field.removesuffix(unit) for unit in UNITS if field.endswith(unit)), field)
    rate = " /S" if name.endswith("_bps") else ""
    return name.removesuffix("_bps").replace("_", " ").upper() + rate


def _row(field: str, points: list[Json]) -> Json:
    """Return the line of one number; empty when no value is known."""
    values = [point[field] for point in points]
    known = [value for value in values if value is not None]
    if not known:
        return {}
    numbers = {"min": min(known), "mean": sum(known) / len(known), "max": max(known), "last": known[-1]}
    width = min(WIDTH, max(10, console.width - BESIDE))
    return {
        "name": heading(field),
        "bars": bars(values, width),
        **{key: _format_number(field, value) for key, value in numbers.items()},
    }


def bars(values: list[float | None], width: int = WIDTH) -> str:
    """Return a bar chart of at most `width` characters, scaled from 0 to the maximum.

    Each bar is the mean of an equal share of the points; a blank has no data.
    """
    count = min(width, len(values))
    parts = [values[len(values) * at // count : len(values) * (at + 1) // count] for at in range(count)]
    known = [[value for value in part if value is not None] for part in parts]
    means = [sum(part) / len(part) if part else None for part in known]
    top = max((mean for mean in means if mean is not None), default=0.0) or 1.0
    return "".join(" " if mean is None else BARS[round(mean / top * (len(BARS) - 1))] for mean in means)


def _format_number(field: str, value: float) -> str:
    if field.endswith("cpu"):  # a share of all CPUs
        return f"{value:.0%}"
    if field.endswith(("_bytes", "_bps")):
        return size(round(value))
    if field.endswith("_mib"):
        return size(round(value) << 20)
    return f"{value:.1f} ms" if field.endswith("_ms") else f"{value:.2f}"


def _format_outlook(outlook: Json) -> str:
    shares = {
        "average of 24 h": outlook["cpu_average"],
        "peak of 24 h": outlook["cpu_peak"],
        "forecast of the next 4 h": outlook["cpu_forecast"],
    }
    if all(value is None for value in shares.values()):
        return "CPU: no average or forecast yet; they need an hour and two days of measurements"
    return "CPU: " + ", ".join(
        f"{name} {'not available yet' if value is None else format(value, '.0%')}" for name, value in shares.items()
    )
