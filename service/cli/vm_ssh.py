"""Command nacre vm ssh."""

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

# ssh retries once a second: a guest that is booting has about a minute.
RETRY_OPTIONS = ("-o", "ConnectTimeout=3", "-o", "ConnectionAttempts=15")


@app.command(context_settings={"allow_interspersed_args": False})
def ssh(
    name: Name,
    command: Annotated[list[str] | None, typer.Argument(help="Command to run in the guest (default: a shell).")] = None,
) -> None:
    """Open an SSH session on a VM.

    Retries for about a minute while the guest boots. Everything after the name is the command.
    """
    vm = client().get(at("vms", name))
    if not vm["address"]:
        raise UsageError(f"VM {name} has no address.")
    if vm["observed_state"] == "stopped":
        raise CliError(f"VM {name} is stopped: 'nacre vm start {name}' starts it.")
    words = command or []
    _exec_ssh(vm["id"], f"{vm['user']}@{vm['address']}", words[words[:1] == ["--"] :])


def _exec_ssh(vm_id: str, destination: str, command: list[str]) -> NoReturn:
    """Replace this process by ssh.

    Host keys are stored under the VM's id, because another VM may get the same address later.
    """
    cache = Path("~/.cache/nacre").expanduser()
    cache.mkdir(parents=True, exist_ok=True)
    options = ["-o", f"UserKnownHostsFile={cache / 'known_hosts'}", "-o", f"HostKeyAlias={vm_id}"]
    options += ["-o", "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR", *RETRY_OPTIONS]
    key = client().config.ssh_key
    if key is not None:
        options += ["-i", str(key), "-o", "IdentitiesOnly=yes"]
    sys.stdout.flush()
    # After "--" ssh reads no options, so neither the API's response nor the command can add one.
    os.execvp("ssh", ["ssh", *options, "--", destination, *command])  # noqa: S606 - ssh takes over the terminal
