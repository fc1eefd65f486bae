"""Commands nacre placement-group."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import Json, at
from service.cli.errors import UsageError
from service.cli.output import Column, Format, notes, plain, print_one
from service.cli.session import Output, client, examples, group, print_owned

app = group("Placement groups: VMs together on one host, or apart.")

Name = Annotated[str, typer.Argument(help="The placement group's name or id.")]
WORDS = {"affinity": "together", "anti_affinity": "apart"}
COLUMNS: tuple[Column, ...] = (
    ("NAME", lambda rule: rule["name"]),
    ("KIND", lambda rule: WORDS[rule["kind"]]),
    ("RULE", lambda rule: "hard" if rule["hard"] else "soft"),
    ("STATUS", lambda rule: "broken" if rule["broken"] else "ok"),
    ("VMS", lambda rule: ", ".join(_vm_with_host(vm) for vm in rule["vms"]) or None),
)
PARTS: dict[str, tuple[Column, ...]] = {
    "vms": (("VM", lambda vm: vm["name"]), ("HOST", lambda vm: vm["host"])),
}


def _vm_with_host(vm: Json) -> str:
    return f"{vm['name']} ({vm['host']})" if vm["host"] else str(vm["name"])


@app.command("list")
def list_groups(output: Output = Format.TABLE) -> None:
    """List placement groups with their VMs, hosts and status."""
    print_owned(client().items("/v1/placement-groups"), COLUMNS, output)


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show a placement group."""
    print_one(client().get(at("placement-groups", name)), output, PARTS)


@app.command(
    epilog=examples(
        "nacre placement-group create db --apart",
        "nacre vm create db-1 --image debian --flavor small --placement-group db",
    )
)
def create(
    name: str,
    apart: Annotated[
        bool | None,
        typer.Option("--apart/--together", help="Each VM on another host, or all on one host (required)."),
    ] = None,
    soft: Annotated[
        bool, typer.Option("--soft", help="The rule is only preferred, and broken if no other host fits.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Create a placement group; VMs join it with --placement-group."""
    if apart is None:
        raise UsageError("Add --apart or --together.")
    kind = "anti_affinity" if apart else "affinity"
    body = {"name": name, "kind": kind, "hard": not soft}
    print_one(client().post("/v1/placement-groups", body), output, PARTS)


@app.command("set")
def set_group(
    name: Name,
    hard: Annotated[bool, typer.Option("--hard/--soft", help="The rule is required, or only preferred.")],
    output: Output = Format.TABLE,
) -> None:
    """Update a placement group to hard or soft; running VMs do not move."""
    print_one(client().patch(at("placement-groups", name), {"hard": hard}), output, PARTS)


@app.command()
def delete(name: Name) -> None:
    """Delete a placement group that no VM is in."""
    client().delete(at("placement-groups", name))
    notes.print(plain(f"placement group {name} is deleted"))
