"""nacre host-group …"""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from service.cli.client import Json, at
from service.cli.errors import UsageError
from service.cli.output import Column, Format, notes, plain, print_one, print_rows
from service.cli.session import Output, client, examples, group

app = group("Groups of hosts, and which of them a project may use.")

COLUMNS: tuple[Column, ...] = (
    ("NAME", lambda group: group["name"]),
    ("HOSTS", lambda group: ", ".join(group["hosts"]) or None),
    ("VCPU RATIO", lambda group: group["vcpu_ratio"]),
    ("MEMORY RATIO", lambda group: group["memory_ratio"]),
    ("ALGORITHM", lambda group: group["algorithm"]),
    ("DESCRIPTION", lambda group: group["description"] or None),
)
DEFAULT = "default"
Name = Annotated[str, typer.Argument(help="The host group's name or id.")]
Host = Annotated[str, typer.Argument(help="The host's name or id.")]
Project = Annotated[str, typer.Argument(help="The project's name or id.")]


def _option(name: str, told: str) -> Any:
    return typer.Option(name, help=told, metavar="VALUE")


@app.command("list")
def list_groups(output: Output = Format.TABLE) -> None:
    """List all host groups with their hosts."""
    print_rows(client().items("/v1/host-groups"), COLUMNS, output)


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show one host group."""
    print_one(client().get(at("host-groups", name)), output)


@app.command()
def create(
    name: str,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Make a host group."""
    print_one(client().post("/v1/host-groups", {"name": name, "description": description}), output)


@app.command(
    "set",
    epilog=examples(
        "nacre host-group set dense --vcpu-ratio 4",
        "nacre host-group set dense --vcpu-ratio default --algorithm pack",
    ),
)
def set_group(
    name: Name,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    vcpu_ratio: Annotated[str | None, _option("--vcpu-ratio", "vCPUs promised per thread; or default.")] = None,
    memory_ratio: Annotated[
        str | None, _option("--memory-ratio", "Beyond 1 only as far as KSM is measured to save; or default.")
    ] = None,
    algorithm: Annotated[str | None, _option("--algorithm", "Places its projects' VMs; or default.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Change how far the group's hosts are promised, and how VMs are placed on them. What runs there goes on.

    A host in several groups is promised by the lowest of their ratios; a project in several groups is placed by the
    algorithm of the first, by name, that has one. "default" leaves it to the service's settings.
    """
    body: Json = {} if description is None else {"description": description}
    for field, said in (("vcpu_ratio", vcpu_ratio), ("memory_ratio", memory_ratio)):
        if said is not None:
            body[field] = _number(said)
    if algorithm is not None:
        body["algorithm"] = None if algorithm == DEFAULT else algorithm
    print_one(client().patch(at("host-groups", name), body), output)


def _number(said: str) -> float | None:
    if said == DEFAULT:
        return None
    try:
        ratio = float(said)
    except ValueError:
        ratio = math.nan
    if not math.isfinite(ratio):
        raise UsageError(f"'{said}' is no ratio: write a number, or {DEFAULT}.")
    return ratio


@app.command()
def delete(name: Name) -> None:
    """Remove a host group; its hosts stay."""
    client().delete(at("host-groups", name))
    notes.print(plain(f"host group {name} is gone"))


@app.command()
def add(name: Name, host: Host, output: Output = Format.TABLE) -> None:
    """Put a host into a group."""
    print_one(client().put(at("host-groups", name, "hosts", host)), output)


@app.command()
def remove(name: Name, host: Host, output: Output = Format.TABLE) -> None:
    """Take a host out of a group. VMs that run there stay until they move."""
    print_one(client().delete(at("host-groups", name, "hosts", host)) or {}, output)


@app.command()
def allow(name: Name, project: Project) -> None:
    """Let a project use the group's hosts. From its first group on it may use no other hosts."""
    client().put(at("projects", project, "host-groups", name))
    notes.print(plain(f"project {project} may use the hosts of {name}"))


@app.command()
def disallow(name: Name, project: Project) -> None:
    """Take a group from a project. Without its last one the project may use every host again."""
    client().delete(at("projects", project, "host-groups", name))
    notes.print(plain(f"project {project} is no longer bound to {name}"))
