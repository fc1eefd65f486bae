"""Commands nacre login, logout, whoami and password."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.cli.client import Client
from service.cli.config import Config, api_url, token_path
from service.cli.errors import UsageError
from service.cli.output import Format, notes, plain, print_one
from service.cli.session import Output, client

# Prefix of tokens from logins. Other tokens cannot be obtained again: they are neither overwritten nor revoked here.
LOGIN_PREFIX = "nacre_login_"
User = Annotated[str, typer.Option("--user", "-u", help="Name of the user (default: your local user name).")]


def log_in(user: User = "") -> None:
    """Log in with a password and store the token.

    The token is written to NACRE_TOKEN_FILE, or ~/.config/nacre/token. The password is read from the terminal, or from
    standard input if that is not a terminal.
    """
    name, path = user or getpass.getuser(), token_path()
    if path.exists() and not _is_from_login(path):
        raise UsageError(f"{path} contains another token that would be lost: set NACRE_TOKEN_FILE to another file.")
    anonymous = Client(Config(url=api_url(), token="", ssh_key=None))
    login = anonymous.post("/v1/login", {"user": name, "password": _password(f"Password of {name}: ")})
    _write(path, login["token"])
    notes.print(plain(f"{login['user']} ({login['role']}) is logged in until {login['expires_at']}: {path}"))


def log_out() -> None:
    """Log out: revoke the token and delete its file."""
    if not _is_from_login(token_path()):
        raise UsageError(f"The token in {token_path()} is not from 'nacre login': use 'nacre token revoke'.")
    client().delete("/v1/login")
    token_path().unlink(missing_ok=True)
    notes.print(plain("logged out"))


def who_am_i(output: Output = Format.TABLE) -> None:
    """Show your user, role, permissions and projects."""
    me = client().get("/v1/me")
    if output is Format.JSON:
        print_one(me, output)
        return
    print_one(
        {
            "user": me["name"],
            "role": me["role"],
            "permissions": ", ".join(me["permissions"]) if me["permissions"] is not None else "all of the role",
            "project": me["project"]["name"] if me["project"] else None,
            "projects": ", ".join(project["name"] for project in me["projects"]),
        },
        output,
    )


def change_password() -> None:
    """Set your own password; your other logins end."""
    old, new = _password("Old password: "), _password("New password: ")
    if sys.stdin.isatty() and _password("New password again: ") != new:
        raise UsageError("The new passwords differ: nothing was changed.")
    client().put("/v1/me/password", {"old_password": old, "password": new})
    notes.print(plain("the password is changed"))


def ask_password(name: str) -> str:
    """Read a new password: typed twice on a terminal, else a line of standard input."""
    password = _password(f"Password for {name}: ")
    if sys.stdin.isatty() and _password("Again: ") != password:
        raise UsageError("The passwords differ: nothing was changed.")
    return password


def _password(prompt: str) -> str:
    return getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


def _is_from_login(path: Path) -> bool:
    return not path.exists() or path.read_text(errors="replace").strip().startswith(LOGIN_PREFIX)


def _write(path: Path, token: str) -> None:
    """Write the token atomically, readable by its owner only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token + "\n")
    draft.replace(path)
