"""nacre token …"""

from __future__ import annotations

import re
from typing import Annotated

import typer

from service.cli.client import Json, at
from service.cli.errors import UsageError
from service.cli.output import Column, Format, notes, plain, print_one, print_rows
from service.cli.session import Output, client, examples, group

app = group("API tokens, for programs.")

SPAN = re.compile(r"([0-9]{1,6})([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
COLUMNS: tuple[Column, ...] = (
    ("NAME", lambda token: token["name"]),
    ("ID", lambda token: token["id"]),
    ("USER", lambda token: token["user"]),
    ("MAY", lambda token: ", ".join(token["permissions"]) if token["permissions"] is not None else "all"),
    ("EXPIRES", lambda token: token["expires_at"] or "never"),
)


@app.command("list")
def list_tokens(
    user: Annotated[str, typer.Option(help="Whose (admins only; default: yours).")] = "",
    output: Output = Format.TABLE,
) -> None:
    """List tokens that open the door. Their secrets are shown to nobody."""
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
        list[str] | None, typer.Option(help="A permission, say vm:read, 'vm:*' or '*:read'; may be repeated.")
    ] = None,
    only_project: Annotated[str, typer.Option(help="The only project that it reaches.")] = "",
    expires_in: Annotated[str, typer.Option(help="How long it is good for, say 12h or 30d.")] = "",
    user: Annotated[str, typer.Option(help="Whose (admins only; default: yours).")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Make a token. Its secret is printed this once: put it where only the program can read it."""
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
def revoke(name: Annotated[str, typer.Argument(help="One of your tokens, or anybody's by its id (admins).")]) -> None:
    """End a token: from the next request on it opens no door."""
    client().delete(at("tokens", name))
    notes.print(plain(f"token {name} is revoked"))


def _seconds(text: str) -> int:
    found = SPAN.fullmatch(text)
    if not found:
        raise UsageError(f"'{text}' is no span of time: write 90s, 45m, 12h or 30d.")
    return int(found[1]) * SECONDS[found[2]]
