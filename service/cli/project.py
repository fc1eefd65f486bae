"""Commands nacre project and nacre project quota."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import at
from service.cli.errors import UsageError
from service.cli.output import Column, Format, notes, plain, print_one, print_rows
from service.cli.session import Output, client, group

app = group("Projects: owners of objects, with members and quotas.")
quota = group("Quotas of a project.")
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
Description = Annotated[str | None, typer.Option(help="Description of the project.")]
Quotas = Annotated[
    list[str] | None, typer.Option("--quota", help="RESOURCE=LIMIT, for example vms=10; may be repeated.")
]
Name = Annotated[str, typer.Argument(help="The project's name or id.")]
User = Annotated[str, typer.Argument(help="The user's name or id.")]


@app.command("list")
def list_projects(output: Output = Format.TABLE) -> None:
    """List projects that you may see."""
    print_rows(client().items("/v1/projects"), COLUMNS, output)


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show a project with its quotas, hosts and members."""
    print_one(client().get(at("projects", name)), output, {"quotas": QUOTA_COLUMNS})


@app.command()
def create(name: str, description: Description = None, quotas: Quotas = None, output: Output = Format.TABLE) -> None:
    """Create a project."""
    body = {"name": name, "description": description or "", "quotas": dict(_limit(text) for text in quotas or ())}
    print_one(client().post("/v1/projects", body), output, {"quotas": QUOTA_COLUMNS})


@app.command("set")
def set_project(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="New name.")] = None,
    description: Description = None,
    output: Output = Format.TABLE,
) -> None:
    """Update a project's name or description."""
    body = {key: value for key, value in (("name", new_name), ("description", description)) if value is not None}
    print_one(client().patch(at("projects", name), body), output)


@app.command()
def delete(name: Name) -> None:
    """Delete a project that owns nothing."""
    client().delete(at("projects", name))
    notes.print(plain(f"project {name} is deleted"))


@app.command("add-user")
def add_user(name: Name, user: User) -> None:
    """Add a user to a project."""
    client().put(at("projects", name, "members", user))
    notes.print(plain(f"user {user} is a member of project {name}"))


@app.command("remove-user")
def remove_user(name: Name, user: User) -> None:
    """Remove a user from a project."""
    client().delete(at("projects", name, "members", user))
    notes.print(plain(f"user {user} is no longer a member of project {name}"))


@quota.command("show")
def show_quota(name: Name, output: Output = Format.TABLE) -> None:
    """List a project's quotas with their usage."""
    print_rows(client().items(at("projects", name, "quotas")), QUOTA_COLUMNS, output)


@quota.command("set")
def set_quota(
    name: Name,
    limits: Annotated[
        list[str], typer.Argument(help="RESOURCE=LIMIT …, for example vms=10 gib:vms=500; none removes a limit.")
    ],
    output: Output = Format.TABLE,
) -> None:
    """Set a project's quotas; existing objects are kept.

    Resources are vms, vcpus, memory_mib, volumes, addresses and gib:POOL.
    """
    for resource, limit in [_limit(text) for text in limits]:
        client().put(at("projects", name, "quotas", resource), {"limit": limit})
    print_rows(client().items(at("projects", name, "quotas")), QUOTA_COLUMNS, output)


def _limit(text: str) -> tuple[str, int | None]:
    resource, _, limit = text.partition("=")
    if limit == "none":
        return resource, None
    if not resource or not limit.isdecimal():
        raise UsageError(f"'{text}' is not a quota: write RESOURCE=NUMBER, or RESOURCE=none.")
    return resource, int(limit)
