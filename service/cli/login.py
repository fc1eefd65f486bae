"""nacre login, nacre logout, nacre whoami, nacre password"""

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

# What the secrets of log-ins begin with. Any other cannot be had again: it is neither overwritten nor ended here.
LOGIN_PREFIX = "nacre_login_"
User = Annotated[str, typer.Option("--user", "-u", help="Who (default: who you are here).")]


def log_in(user: User = "") -> None:
    """Get a token for your password, and keep it where NACRE_TOKEN_FILE says (else ~/.config/nacre/token).

    The password is asked for, or read from standard input when that is no terminal.
    """
    name, path = user or getpass.getuser(), token_path()
    if path.exists() and not _is_from_login(path):
        raise UsageError(f"{path} holds another token, which would be lost: let NACRE_TOKEN_FILE name another file.")
    anonymous = Client(Config(url=api_url(), token="", ssh_key=None))
    answer = anonymous.post("/v1/login", {"user": name, "password": _password(f"Password of {name}: ")})
    _write(path, answer["token"])
    notes.print(plain(f"{answer['user']} ({answer['role']}) is logged in until {answer['expires_at']}: {path}"))


def log_out() -> None:
    """End what 'nacre login' began, and forget its token."""
    if not _is_from_login(token_path()):
        raise UsageError(f"The token in {token_path()} is from no log-in: 'nacre token revoke' would end it for good.")
    client().delete("/v1/login")
    token_path().unlink(missing_ok=True)
    notes.print(plain("logged out"))


def who_am_i(output: Output = Format.TABLE) -> None:
    """Tell who you are to the API, with what rights, and in which project you work."""
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
    """Change your own password. Whatever else you are logged in to ends."""
    old, new = _password("Old password: "), _password("New password: ")
    if sys.stdin.isatty() and _password("New password again: ") != new:
        raise UsageError("The new passwords are not the same: nothing was changed.")
    client().put("/v1/me/password", {"old_password": old, "password": new})
    notes.print(plain("the password is changed"))


def ask_password(name: str) -> str:
    """A new password for somebody: typed twice on a terminal, one line of standard input elsewhere."""
    password = _password(f"Password for {name}: ")
    if sys.stdin.isatty() and _password("Again: ") != password:
        raise UsageError("They are not the same: nothing was changed.")
    return password


def _password(prompt: str) -> str:
    return getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


def _is_from_login(path: Path) -> bool:
    return not path.exists() or path.read_text(errors="replace").strip().startswith(LOGIN_PREFIX)


def _write(path: Path, token: str) -> None:
    """For its owner only, and whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token + "\n")
    draft.replace(path)
