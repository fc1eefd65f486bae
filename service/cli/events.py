"""nacre events: what happens, as it happens."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from service.cli.client import Json
from service.cli.output import Format, notes, plain
from service.cli.session import Output, client


def show_events(
    after: Annotated[
        int | None, typer.Option("--after", help="Begin after this event; 0: the oldest that is kept.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--object", help="Only of one kind: vm, job, host, image …")] = None,
    count: Annotated[int | None, typer.Option("--count", help="End after so many.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Show what happens to what you may see, as it happens; Ctrl-C ends it.

    It goes on where it was when the connection breaks. With --output json each event is one line.
    """
    try:
        for number, event in enumerate(_events(after, kind), start=1):
            sys.stdout.write(_line(event, output) + "\n")
            sys.stdout.flush()
            if number == count:
                return
    except KeyboardInterrupt:
        raise typer.Exit from None


def _events(after: int | None, kind: str | None) -> Iterator[Json]:
    query: dict[str, str | int] = {"object_kind": kind} if kind else {}
    for position, name, data in client().events("/v1/events", after=after, **query):
        if name == "reset":
            notes.print(plain(f"what happened before event {position} is no longer kept: look at everything anew"))
        else:
            yield data


def _line(event: Json, how: Format) -> str:
    if how is Format.JSON:
        return json.dumps(event)
    data = event["data"]
    about = data.get("object", event["object"])
    state = data.get("state") or data.get("observed_state") or ""
    error = data.get("error", {}).get("code", "")
    what = data.get("job_kind") or event["kind"]
    name = data.get("name") or about["id"]
    parts = (event["at"], str(event["id"]), what, about["kind"], name, state, error, data.get("actor", ""))
    return str(plain("  ".join(part for part in parts if part)))
