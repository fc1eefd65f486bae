"""Command nacre events."""

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
        int | None, typer.Option("--after", help="Start after this event id; 0: the oldest stored event.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--object", help="Only events about one kind of object: vm, job, host, image …")
    ] = None,
    count: Annotated[int | None, typer.Option("--count", help="Exit after this number of events.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Stream events about objects that you may see.

    Ctrl-C ends the stream. If the connection breaks, the stream resumes at the same event. With --output json each
    event is one line.
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
            notes.print(plain(f"events before {position} are deleted: read the current state again"))
        else:
            yield data


def _line(event: Json, how: Format) -> str:
    if how is Format.JSON:
        return json.dumps(event)
    data = event["data"]
    subject = data.get("object", event["object"])
    state = data.get("state") or data.get("observed_state") or ""
    error = data.get("error", {}).get("code", "")
    kind = data.get("job_kind") or event["kind"]
    name = data.get("name") or subject["id"]
    parts = (event["at"], str(event["id"]), kind, subject["kind"], name, state, error, data.get("actor", ""))
    return str(plain("  ".join(part for part in parts if part)))
