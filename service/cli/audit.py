"""Command nacre audit."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.output import Column, Format, print_rows
from service.cli.session import Output, client

COLUMNS: tuple[Column, ...] = (
    ("TIME", lambda entry: entry["created_at"]),
    ("ACTOR", lambda entry: entry["actor"]),
    ("FROM", lambda entry: entry["source"] or None),
    ("ACTION", lambda entry: entry["action"]),
    ("OBJECT", lambda entry: f"{entry['object_kind']} {entry['object_name'] or entry['object_id']}"),
    ("REASON", lambda entry: entry["reason"] or None),
)


def show_audit(
    actor: Annotated[str, typer.Option(help="Only actions of this user.")] = "",
    action: Annotated[str, typer.Option(help="Only this action, for example delete_vm.")] = "",
    kind: Annotated[str, typer.Option(help="Only objects of this kind, for example vm.")] = "",
    name: Annotated[str, typer.Option(help="Only objects of this name.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="Maximum number of entries.")] = 50,
    output: Output = Format.TABLE,
) -> None:
    """List audit entries, newest first.

    With --output json each entry has the object's definition before and after.
    """
    filters = {"actor": actor, "action": action, "object_kind": kind, "object_name": name}
    query = {key: value for key, value in filters.items() if value}
    print_rows(client().get("/v1/audit", **query, limit=limit)["items"], COLUMNS, output)
