"""Commands nacre host-group."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from service.cli.client import Json, at
from service.cli.errors import UsageError
from service.cli.output import Column, Format, notes, plain, print_one, print_rows
from service.cli.session import Output, client, examples, group

app = group("Host groups: hosts with common placement settings.")

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


def _option(name: str, text: str) -> Any:
    return typer.Option(name, help=text, metavar="VALUE")


@app.command("list")
def list_groups(output: Output = Format.TABLE) -> None:
    """List host groups with their hosts."""
    print_rows(client().items("/v1/host-groups"), COLUMNS, output)


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show a host group."""
    print_one(client().get(at("host-groups", name)), output)


@app.command()
def create(
    name: str,
    description: Annotated[str, typer.Option(help="Description of the group.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Create a host group."""
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
    description: Annotated[str | None, typer.Option(help="Description of the group.")] = None,
    vcpu_ratio: Annotated[str | None, _option("--vcpu-ratio", "vCPUs to allocate per CPU thread; or default.")] = None,
    memory_ratio: Annotated[
        str | None,
        _option("--memory-ratio", "Memory to allocate per memory; above 1 only as far as KSM saves it; or default."),
    ] = None,
    algorithm: Annotated[
        str | None, _option("--algorithm", "Placement algorithm for VMs of its projects; or default.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Update a host group's ratios, algorithm or description.

    Running VMs are not affected. A host in several groups uses the lowest of their ratios. A project with several
    groups uses the algorithm of the first group, by name, that has one. "default" uses the service's settings.
    """
    body: Json = {} if description is None else {"description": description}
    for field, text in (("vcpu_ratio", vcpu_ratio), ("memory_ratio", memory_ratio)):
        if text is not None:
            body[field] = _number(text)
    if algorithm is not None:
        body["algorithm"] = None if algorithm == DEFAULT else algorithm
    print_one(client().patch(at("host-groups", name), body), output)


def _number(text: str) -> float | None:
    if text == DEFAULT:
        return None
    try:
        ratio = float(text)
    except ValueError:
        ratio = math.nan
    if not math.isfinite(ratio):
        raise UsageError(f"'{text}' is not a ratio: write a number, or {DEFAULT}.")
    return ratio


@app.command()
def delete(name: Name) -> None:
    """Delete a host group; its hosts are kept."""
    client().delete(at("host-groups", name))
    notes.print(plain(f"host group {name} is deleted"))


@app.command()
def add(name: Name, host: Host, output: Output = Format.TABLE) -> None:
    """Add a host to a host group."""
    print_one(client().put(at("host-groups", name, "hosts", host)), output)


@app.command()
def remove(name: Name, host: Host, output: Output = Format.TABLE) -> None:
    """Remove a host from a host group; VMs on the host stay there."""
    print_one(client().delete(at("host-groups", name, "hosts", host)) or {}, output)


@app.command()
def grant(name: Name, project: Project) -> None:
    """Grant a project the use of a host group.

    A project with at least one host group may use only the hosts of its groups.
    """
    client().put(at("projects", project, "host-groups", name))
    notes.print(plain(f"project {project} may use the hosts of {name}"))


@app.command()
def revoke(name: Name, project: Project) -> None:
    """Revoke a project's use of a host group.

    A project without any host group may use every host.
    """
    client().delete(at("projects", project, "host-groups", name))
    notes.print(plain(f"project {project} may no longer use the hosts of {name}"))
