"""nacre audit"""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.output import Column, Format, print_rows
from service.cli.session import Output, client

COLUMNS: tuple[Column, ...] = (
    ("TIME", lambda entry: entry["created_at"]),
    ("WHO", lambda entry: entry["actor"]),
    ("FROM", lambda entry: entry["source"] or None),
    ("DID", lambda entry: entry["action"]),
    ("WHAT", lambda entry: f"{entry['object_kind']} {entry['object_name'] or entry['object_id']}"),
    ("WHY", lambda entry: entry["reason"] or None),
)


def show_audit(
    actor: Annotated[str, typer.Option(help="Only what this user did.")] = "",
    action: Annotated[str, typer.Option(help="Only this, say delete_vm.")] = "",
    kind: Annotated[str, typer.Option(help="Only on objects of this kind, say vm.")] = "",
    name: Annotated[str, typer.Option(help="Only on objects of this name.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="The newest so many.")] = 50,
    output: Output = Format.TABLE,
) -> None:
    """Show who did what, the newest first. '-o json' tells what it was before and after, too."""
    asked = {"actor": actor, "action": action, "object_kind": kind, "object_name": name}
    query = {key: value for key, value in asked.items() if value}
    print_rows(client().get("/v1/audit", **query, limit=limit)["items"], COLUMNS, output)
