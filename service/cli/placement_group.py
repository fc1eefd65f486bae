"""nacre placement-group …"""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import Json, at
from service.cli.errors import UsageError
from service.cli.output import Column, Format, notes, plain, print_one
from service.cli.session import Output, client, examples, group, print_owned

app = group("Rules that keep a project's VMs together on one host, or apart.")

Name = Annotated[str, typer.Argument(help="The placement group's name or id.")]
WORDS = {"affinity": "together", "anti_affinity": "apart"}
COLUMNS: tuple[Column, ...] = (
    ("NAME", lambda rule: rule["name"]),
    ("KEEPS", lambda rule: WORDS[rule["kind"]]),
    ("RULE", lambda rule: "hard" if rule["hard"] else "soft"),
    ("NOW", lambda rule: "broken" if rule["broken"] else "kept"),
    ("VMS", lambda rule: ", ".join(_told(vm) for vm in rule["vms"]) or None),
)
PARTS: dict[str, tuple[Column, ...]] = {
    "vms": (("VM", lambda vm: vm["name"]), ("HOST", lambda vm: vm["host"])),
}


def _told(vm: Json) -> str:
    return f"{vm['name']} ({vm['host']})" if vm["host"] else str(vm["name"])


@app.command("list")
def list_groups(output: Output = Format.TABLE) -> None:
    """List placement groups: their VMs, where those are, and whether the rule is kept now."""
    print_owned(client().items("/v1/placement-groups"), COLUMNS, output)


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show one placement group."""
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
        typer.Option("--apart/--together", help="No two on one host, or all on one; one of both is needed."),
    ] = None,
    soft: Annotated[bool, typer.Option("--soft", help="Only preferred: broken where nothing else fits.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Make a rule. VMs obey it when they are made or changed with --placement-group."""
    if apart is None:
        raise UsageError("Shall its VMs run apart or together? Say --apart or --together.")
    kind = "anti_affinity" if apart else "affinity"
    body = {"name": name, "kind": kind, "hard": not soft}
    print_one(client().post("/v1/placement-groups", body), output, PARTS)


@app.command("set")
def set_group(
    name: Name,
    hard: Annotated[bool, typer.Option("--hard/--soft", help="Whether it must be obeyed.")],
    output: Output = Format.TABLE,
) -> None:
    """Make a rule hard or soft. VMs that run stay where they are."""
    print_one(client().patch(at("placement-groups", name), {"hard": hard}), output, PARTS)


@app.command()
def delete(name: Name) -> None:
    """Remove a rule that no VM obeys any more."""
    client().delete(at("placement-groups", name))
    notes.print(plain(f"placement group {name} is gone"))
