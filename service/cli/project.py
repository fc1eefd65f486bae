"""nacre project …, nacre project quota …"""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import at
from service.cli.errors import UsageError
from service.cli.output import Column, Format, notes, plain, print_one, print_rows
from service.cli.session import Output, client, group

app = group("Projects: what belongs together, who works there, and how much they may have.")
quota = group("What a project may have of vms, vcpus, memory_mib, volumes, addresses and gib:POOL.")
app.add_typer(quota, name="quota")

COLUMNS: tuple[Column, ...] = (
    ("NAME", lambda project: project["name"]),
    ("ID", lambda project: project["id"]),
    ("DESCRIPTION", lambda project: project["description"] or None),
)
QUOTA_COLUMNS: tuple[Column, ...] = (
    ("RESOURCE", lambda quota: quota["resource"]),
    ("USED", lambda quota: quota["used"]),
    ("LIMIT", lambda quota: "none" if quota["limit"] is None else quota["limit"]),
)
Description = Annotated[str | None, typer.Option(help="What it is for.")]
Quotas = Annotated[list[str] | None, typer.Option("--quota", help="RESOURCE=LIMIT, say vms=10; may be repeated.")]
Name = Annotated[str, typer.Argument(help="The project's name or id.")]
User = Annotated[str, typer.Argument(help="The user's name or id.")]


@app.command("list")
def list_projects(output: Output = Format.TABLE) -> None:
    """List the projects that you see."""
    print_rows(client().items("/v1/projects"), COLUMNS, output)


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show a project with its quotas, hosts and members."""
    print_one(client().get(at("projects", name)), output, {"quotas": QUOTA_COLUMNS})


@app.command()
def create(name: str, description: Description = None, quotas: Quotas = None, output: Output = Format.TABLE) -> None:
    """Make a project."""
    body = {"name": name, "description": description or "", "quotas": dict(_limit(text) for text in quotas or ())}
    print_one(client().post("/v1/projects", body), output, {"quotas": QUOTA_COLUMNS})


@app.command("set")
def change(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="Its new name.")] = None,
    description: Description = None,
    output: Output = Format.TABLE,
) -> None:
    """Change a project's name or description."""
    body = {key: value for key, value in (("name", new_name), ("description", description)) if value is not None}
    print_one(client().patch(at("projects", name), body), output)


@app.command()
def delete(name: Name) -> None:
    """Remove a project that owns nothing any more."""
    client().delete(at("projects", name))
    notes.print(plain(f"project {name} is gone"))


@app.command("add-user")
def add_user(name: Name, user: User) -> None:
    """Let a user work in the project."""
    client().put(at("projects", name, "members", user))
    notes.print(plain(f"{user} works in {name}"))


@app.command("remove-user")
def remove_user(name: Name, user: User) -> None:
    """Let a user work in the project no more."""
    client().delete(at("projects", name, "members", user))
    notes.print(plain(f"{user} no longer works in {name}"))


@quota.command("show")
def show_quota(name: Name, output: Output = Format.TABLE) -> None:
    """Show what a project may have, and has."""
    print_rows(client().items(at("projects", name, "quotas")), QUOTA_COLUMNS, output)


@quota.command("set")
def set_quota(
    name: Name,
    limits: Annotated[list[str], typer.Argument(help="RESOURCE=LIMIT …, say vms=10 gib:vms=500; 'none': no limit.")],
    output: Output = Format.TABLE,
) -> None:
    """Limit what a project may have. What it has already stays."""
    for resource, limit in [_limit(text) for text in limits]:
        client().put(at("projects", name, "quotas", resource), {"limit": limit})
    print_rows(client().items(at("projects", name, "quotas")), QUOTA_COLUMNS, output)


def _limit(text: str) -> tuple[str, int | None]:
    resource, _, limit = text.partition("=")
    if limit == "none":
        return resource, None
    if not resource or not limit.isdecimal():
        raise UsageError(f"'{text}' is no quota: write RESOURCE=NUMBER, or RESOURCE=none.")
    return resource, int(limit)
