"""Commands nacre user."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from service.cli.client import Json, at
from service.cli.login import ask_password
from service.cli.output import Column, Format, notes, plain, print_one, print_rows
from service.cli.session import Output, Yes, client, confirm, group

app = group("Users: people and programs.")


class Role(StrEnum):
    """Role of a user."""

    ADMIN = "admin"
    OPERATOR = "operator"
    USER = "user"
    VIEWER = "viewer"


COLUMNS: tuple[Column, ...] = (
    ("NAME", lambda user: user["name"]),
    ("ROLE", lambda user: user["role"]),
    ("PROJECTS", lambda user: ", ".join(project["name"] for project in user["projects"]) or None),
    ("PASSWORD", lambda user: "yes" if user["has_password"] else "no"),
    ("STATE", lambda user: "disabled" if user["disabled"] else "enabled"),
)
Projects = Annotated[
    list[str] | None, typer.Option("--project", "-p", help="Project that the user is a member of; may be repeated.")
]
Password = Annotated[bool, typer.Option("--password", help="Ask for a password, or read it from standard input.")]
Name = Annotated[str, typer.Argument(help="The user's name or id.")]


@app.command("list")
def list_users(output: Output = Format.TABLE) -> None:
    """List all users."""
    print_rows(client().items("/v1/users"), COLUMNS, output)


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show a user."""
    print_one(client().get(at("users", name)), output)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="1 to 63 of letters, digits, '.', '_' and '-'.")],
    role: Annotated[Role, typer.Option(help="Role: what the user may do.")] = Role.USER,
    projects: Projects = None,
    password: Password = False,
    output: Output = Format.TABLE,
) -> None:
    """Create a user.

    Without a password the user needs a token: 'nacre token create NAME --user USER'.
    """
    body: Json = {"name": name, "role": role.value, "projects": projects or []}
    if password:
        body["password"] = ask_password(name)
    print_one(client().post("/v1/users", body), output)


@app.command("set")
def set_user(
    name: Name,
    role: Annotated[Role | None, typer.Option(help="New role.")] = None,
    password: Password = False,
    output: Output = Format.TABLE,
) -> None:
    """Update a user's role or password.

    A new password ends the user's logins.
    """
    body: Json = {"role": role.value} if role is not None else {}
    if password:
        body["password"] = ask_password(name)
    print_one(client().patch(at("users", name), body), output)


@app.command()
def disable(name: Name) -> None:
    """Disable a user: logins and tokens are rejected at once, but kept."""
    client().patch(at("users", name), {"disabled": True})
    notes.print(plain(f"user {name} is disabled"))


@app.command()
def enable(name: Name) -> None:
    """Enable a disabled user."""
    client().patch(at("users", name), {"disabled": False})
    notes.print(plain(f"user {name} is enabled"))


@app.command()
def delete(name: Name, yes: Yes = False) -> None:
    """Delete a user and all tokens of the user.

    VMs and images that the user created are kept.
    """
    confirm(f"Delete user {name} and all their tokens?", yes=yes)
    client().delete(at("users", name))
    notes.print(plain(f"user {name} is deleted"))
