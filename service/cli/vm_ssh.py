"""nacre vm ssh …"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from service.cli.client import at
from service.cli.errors import CliError, UsageError
from service.cli.session import client
from service.cli.vm import Name, app

# ssh asks again once a second: what boots or restarts is given about a minute.
PATIENCE = ("-o", "ConnectTimeout=3", "-o", "ConnectionAttempts=15")


@app.command(context_settings={"allow_interspersed_args": False})
def ssh(
    name: Name,
    command: Annotated[list[str] | None, typer.Argument(help="What to run there (default: a shell).")] = None,
) -> None:
    """Log in to a VM. Everything after its name is the command; a guest that still boots is given about a minute."""
    vm = client().get(at("vms", name))
    if not vm["address"]:
        raise UsageError(f"VM {name} has no address.")
    if vm["observed_state"] == "stopped":
        raise CliError(f"VM {name} is stopped: 'nacre vm start {name}' starts it.")
    words = command or []
    _exec_ssh(vm["id"], f"{vm['user']}@{vm['address']}", words[words[:1] == ["--"] :])


def _exec_ssh(vm_id: str, destination: str, command: list[str]) -> NoReturn:
    """Become ssh. A VM's host key is remembered under its id: another VM may get the same address later."""
    known = Path("~/.cache/nacre").expanduser()
    known.mkdir(parents=True, exist_ok=True)
    options = ["-o", f"UserKnownHostsFile={known / 'known_hosts'}", "-o", f"HostKeyAlias={vm_id}"]
    options += ["-o", "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR", *PATIENCE]
    key = client().config.ssh_key
    if key is not None:
        options += ["-i", str(key), "-o", "IdentitiesOnly=yes"]
    sys.stdout.flush()
    # After "--" nothing is an option, neither in what the server told nor in the command.
    os.execvp("ssh", ["ssh", *options, "--", destination, *command])  # noqa: S606 - the terminal becomes the guest's
