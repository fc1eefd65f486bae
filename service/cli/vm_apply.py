"""nacre vm apply: VMs as a file declares them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from service.cli.client import Json, at
from service.cli.errors import UsageError
from service.cli.output import Format, notes, plain, print_json, print_rows
from service.cli.session import Output, Wait, client, examples, follow
from service.cli.vm import app


@app.command(
    epilog=examples(
        "printf 'name: web\\nimage: debian\\nflavor: small\\n' | nacre vm apply -f -",
        "nacre vm apply -f vms.yaml --dry-run",
    )
)
def apply(
    file: Annotated[
        Path,
        typer.Option(
            "--file", "-f", metavar="FILE", help="YAML or JSON, several VMs with '---' between; - reads stdin."
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Have VMs as a file declares them: made, changed where they differ, or left alone.

    A document has the fields of a create: name, image, flavor, disks, tags and so on. What it leaves out stays.
    """
    declared = [_declare(document, dry_run=dry_run) for document in _documents(file)]
    if output is Format.JSON:
        print_json([_ended(one, wait=wait) for one in declared])
        return
    for one in declared:
        _tell(one)
        _ended(one, wait=wait)


def _declare(document: Json, *, dry_run: bool) -> Json:
    query = {"dry_run": "true"} if dry_run else {}
    return {"name": document["name"], **client().put(at("vms", document["name"]), document, **query)}


def _ended(answer: Json, *, wait: bool) -> Json:
    """The answer with its job at its end."""
    if not wait or answer["job"] is None or answer.get("dry_run"):
        return answer
    return answer | {"job": follow(answer["job"])}


def _tell(answer: Json) -> None:
    name, would = answer["name"], "would be " if answer.get("dry_run") else ""
    if answer["diff"]:
        notes.print(plain(f"VM {name}: {would}changed"))
        columns = (
            ("FIELD", lambda row: row["field"]),
            ("FROM", lambda row: row["from"]),
            ("TO", lambda row: row["to"]),
            ("WHEN", lambda row: row["when"].replace("_", " ")),
        )
        print_rows(answer["diff"], columns, Format.TABLE)
    else:
        notes.print(plain(f"VM {name}: {would + 'made' if answer['changed'] else 'as declared'}"))


def _documents(file: Path) -> list[Json]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.expanduser().read_text()
        documents: list[Any] = [document for document in yaml.safe_load_all(text) if document is not None]
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is neither YAML nor JSON: {error}") from error
    for number, document in enumerate(documents, start=1):
        if not isinstance(document, dict) or not isinstance(document.get("name"), str):
            raise UsageError(f"{file}: document {number} is no VM: it needs at least a name and a flavor.")
    return documents
