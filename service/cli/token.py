"""Commands nacre token."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from service.cli.client import Json, at
from service.cli.errors import UsageError
from service.cli.output import Column, Format, notes, plain, print_one, print_rows
from service.cli.session import Output, client, examples, group

app = group("API tokens for programs.")

SPAN = re.compile(r"([0-9]{1,6})([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
COLUMNS: tuple[Column, ...] = (
    ("NAME", lambda token: token["name"]),
    ("ID", lambda token: token["id"]),
    ("USER", lambda token: token["user"]),
    ("PERMISSIONS", lambda token: ", ".join(token["permissions"]) if token["permissions"] is not None else "all"),
    ("EXPIRES", lambda token: token["expires_at"] or "never"),
)


@app.command("list")
def list_tokens(
    user: Annotated[str, typer.Option(help="Owner of the token (admins only; default: you).")] = "",
    output: Output = Format.TABLE,
) -> None:
    """List valid tokens, without their secrets."""
    print_rows(client().items("/v1/tokens", **({"user": user} if user else {})), COLUMNS, output)


@app.command(
    epilog=examples(
        "nacre token create prometheus --may metrics:read",
        "nacre token create ci --may 'vm:*' --only-project blue --expires-in 30d",
    )
)
def create(
    name: str,
    may: Annotated[
        list[str] | None,
        typer.Option(help="A permission: vm:read, 'vm:*', '*:read' …; may be repeated (default: all of the role)."),
    ] = None,
    only_project: Annotated[str, typer.Option(help="Limit the token to this project.")] = "",
    expires_in: Annotated[str, typer.Option(help="Lifetime, for example 12h or 30d (default: no expiry).")] = "",
    user: Annotated[str, typer.Option(help="Owner of the token (admins only; default: you).")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Create a token; its secret is printed only once."""
    body: Json = {"name": name}
    if may:
        body["permissions"] = may
    if only_project:
        body["project"] = only_project
    if user:
        body["user"] = user
    if expires_in:
        body["expires_in_s"] = _seconds(expires_in)
    print_one(client().post("/v1/tokens", body), output)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Name or id of one of your tokens; for admins, the id of any token.")],
) -> None:
    """Revoke a token; the next request with it is rejected."""
    client().delete(at("tokens", name))
    notes.print(plain(f"token {name} is revoked"))


def _seconds(text: str) -> int:
    found = SPAN.fullmatch(text)
    if not found:
        raise UsageError(f"'{text}' is not a time span: write 90s, 45m, 12h or 30d.")
    return int(found[1]) * SECONDS[found[2]]
