"""Command nacre vm apply: VMs declared in a file."""

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
            "--file", "-f", metavar="FILE", help="YAML or JSON file, VMs separated by '---'; - reads standard input."
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; change nothing.")] = False,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Apply VM declarations: create VMs or update what differs.

    A document has the fields of a create request: name, image, flavor, disks, tags and so on. Missing fields are not
    changed.
    """
    results = [_declare(document, dry_run=dry_run) for document in _documents(file)]
    if output is Format.JSON:
        print_json([_wait_if(result, wait=wait) for result in results])
        return
    for result in results:
        _print_result(result)
        _wait_if(result, wait=wait)


def _declare(document: Json, *, dry_run: bool) -> Json:
    query = {"dry_run": "true"} if dry_run else {}
    return {"name": document["name"], **client().put(at("vms", document["name"]), document, **query)}


def _wait_if(result: Json, *, wait: bool) -> Json:
    """Return the result, with its job waited for if `wait`."""
    if not wait or result["job"] is None or result.get("dry_run"):
        return result
    return result | {"job": follow(result["job"])}


def _print_result(result: Json) -> None:
    name, would = result["name"], "would be " if result.get("dry_run") else ""
    if result["diff"]:
        notes.print(plain(f"VM {name}: {would}updated"))
        columns = (
            ("FIELD", lambda row: row["field"]),
            ("FROM", lambda row: row["from"]),
            ("TO", lambda row: row["to"]),
            ("WHEN", lambda row: row["when"].replace("_", " ")),
        )
        print_rows(result["diff"], columns, Format.TABLE)
    else:
        notes.print(plain(f"VM {name}: {would + 'created' if result['changed'] else 'unchanged'}"))


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
            raise UsageError(f"{file}: document {number} is not a VM: it needs at least a name and a flavor.")
    return documents
