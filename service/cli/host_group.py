"""nacre host-group …"""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import at
from service.cli.output import Column, Format, notes, plain, print_one, print_rows
from service.cli.session import Output, client, group

app = group("Groups of hosts, and which of them a project may use.")

COLUMNS: tuple[Column, ...] = (
    ("NAME", lambda group: group["name"]),
    ("HOSTS", lambda group: ", ".join(group["hosts"]) or None),
    ("DESCRIPTION", lambda group: group["description"] or None),
)
Name = Annotated[str, typer.Argument(help="The host group's name or id.")]
Host = Annotated[str, typer.Argument(help="The host's name or id.")]
Project = Annotated[str, typer.Argument(help="The project's name or id.")]


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
