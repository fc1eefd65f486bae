"""nacre host history, nacre vm history: the past as one line for each number."""

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
# Field → heading, and how its number is written.
VM_NUMBERS = {
    "cpus": "CPUS",
    "memory_bytes": "MEMORY",
    "read_bps": "READ /S",
    "written_bps": "WRITTEN /S",
    "received_bps": "RECEIVED /S",
    "sent_bps": "SENT /S",
}
HOST_NUMBERS = {
    "cpu": "CPU",
    "ceph_cpu": "CPU OF CEPH",
    "guest_cpus": "CPUS OF GUESTS",
    "memory_used_mib": "MEMORY USED",
    "ksm_saved_mib": "SAVED BY KSM",
    "osd_latency_ms": "OSD LATENCY",
}
COLUMNS: tuple[Column, ...] = (
    ("", lambda row: row["name"]),
    ("LEAST", lambda row: row["least"]),
    ("MEAN", lambda row: row["mean"]),
    ("MOST", lambda row: row["most"]),
    ("LAST", lambda row: row["last"]),
    ("OVER TIME", lambda row: row["bars"]),
)
Begin = Annotated[
    str, typer.Option("--since", help="How long back (30min, 24h, 7d), or an instant like 2030-01-31T12:00:00Z.")
]
End = Annotated[str, typer.Option("--until", help="An instant; now unless told.")]
Step = Annotated[int | None, typer.Option("--step", help="Seconds of a point (JSON), as fine as that was kept.")]


@vm.app.command("history")
def vm_history(
    name: vm.Name, since: Begin = "1h", until: End = "", step: Step = None, output: Output = Format.TABLE
) -> None:
    """Show how busy a VM was. With --output json every point."""
    _show(_past("vms", name, since, until, step), VM_NUMBERS, output)


@host.app.command("history")
def host_history(
    name: host.Name, since: Begin = "1h", until: End = "", step: Step = None, output: Output = Format.TABLE
) -> None:
    """Show how busy a host was, and what is expected of it. With --output json every point."""
    past = _past("hosts", name, since, until, step)
    _show(past, HOST_NUMBERS, output)
    if output is Format.TABLE:
        notes.print(plain(_expected(past["outlook"])))


def _past(kind: str, name: str, since: str, until: str, step: int | None) -> Json:
    asked: dict[str, str | int | None] = {"from": since, "to": until or None, "step": step}
    return client().get(at(kind, name, "history"), **{key: value for key, value in asked.items() if value is not None})


def _show(past: Json, numbers: dict[str, str], how: Format) -> None:
    if how is Format.JSON:
        print_json(past)
    elif not past["points"]:
        notes.print(plain("nothing was measured then"))
    else:
        rows = (_row(field, heading, past["points"]) for field, heading in numbers.items())
        print_rows([row for row in rows if row], COLUMNS, how)
        first, last = past["points"][0]["at"], past["points"][-1]["at"]
        notes.print(plain(f"{first} to {last}, in steps of {age(past['step_s'])}"))


def _row(field: str, heading: str, points: list[Json]) -> Json:
    """Nothing where nothing is known."""
    values = [point[field] for point in points]
    known = [value for value in values if value is not None]
    if not known:
        return {}
    numbers = {"least": min(known), "mean": sum(known) / len(known), "most": max(known), "last": known[-1]}
    width = min(WIDTH, max(10, console.width - BESIDE))
    return {
        "name": heading,
        "bars": bars(values, width),
        **{key: _told(field, value) for key, value in numbers.items()},
    }


def bars(values: list[float | None], width: int = WIDTH) -> str:
    """At most `width` bars from 0 to the highest, each the mean of its share of the points; a blank has no data."""
    count = min(width, len(values))
    parts = [values[len(values) * at // count : len(values) * (at + 1) // count] for at in range(count)]
    known = [[value for value in part if value is not None] for part in parts]
    means = [sum(part) / len(part) if part else None for part in known]
    top = max((mean for mean in means if mean is not None), default=0.0) or 1.0
    return "".join(" " if mean is None else BARS[round(mean / top * (len(BARS) - 1))] for mean in means)


def _told(field: str, value: float) -> str:
    if field in ("cpu", "ceph_cpu"):
        return f"{value:.0%}"
    if field.endswith(("_bytes", "_bps")):
        return size(round(value))
    if field.endswith("_mib"):
        return size(round(value) << 20)
    return f"{value:.1f} ms" if field.endswith("_ms") else f"{value:.2f}"


def _expected(outlook: Json) -> str:
    told = {
        "a day's average": outlook["cpu_average"],
        "its peak": outlook["cpu_peak"],
        "expected of the coming four hours": outlook["cpu_forecast"],
    }
    if all(value is None for value in told.values()):
        return (
            "what is expected of its CPU is not known yet: that takes an hour of measurements, and a forecast two days"
        )
    known = {what: "not known yet" if value is None else f"{value:.0%}" for what, value in told.items()}
    return "CPU: " + ", ".join(f"{what} {value}" for what, value in known.items())
