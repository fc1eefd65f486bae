"""nacre vm …"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from service.cli.client import at
from service.cli.errors import CliError, UsageError
from service.cli.output import Column, Format, print_one, print_rows
from service.cli.session import Output, Wait, client, finish, group, stale

app = group("Virtual machines.")

PUBLIC_KEY = re.compile(r"(ssh|ecdsa|sk)-\S+ \S+")
# ssh asks again once a second: what boots or restarts is given about a minute.
PATIENCE = ("-o", "ConnectTimeout=3", "-o", "ConnectionAttempts=15")

Name = Annotated[str, typer.Argument(help="The VM's name or id.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

COLUMNS: tuple[Column, ...] = (
    ("NAME", lambda vm: vm["name"]),
    ("STATE", lambda vm: ", ".join(filter(None, (vm["observed_state"], _stale(vm))))),
    ("HOST", lambda vm: vm["host"]),
    ("ADDRESS", lambda vm: vm["address"]),
    ("VCPUS", lambda vm: vm["vcpus"]),
    ("MEMORY", lambda vm: f"{vm['memory_mib']} MiB"),
    ("IMAGE", lambda vm: vm["image"]),
    ("FLAVOR", lambda vm: vm["flavor"]),
)


def _stale(vm: dict[str, str | None]) -> str:
    return stale(vm["observed_at"]) if vm["host"] else ""


@app.command("list")
def list_vms(output: Output = Format.TABLE) -> None:
    """List all VMs."""
    print_rows(client().items("/v1/vms"), COLUMNS, output)


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show one VM: its state, address, host and disks."""
    print_one(client().get(at("vms", name)), output)


@app.command()
def why(name: Name, output: Output = Format.TABLE) -> None:
    """Show why the VM is on its host: every host's score, or the reasons against it."""
    decision = client().get(at("vms", name, "placement"))
    if output is Format.JSON:
        print_one(decision, output)
        return
    columns: tuple[Column, ...] = (
        ("HOST", lambda verdict: verdict["host_name"]),
        ("SCORE", lambda verdict: None if verdict["score"] is None else f"{verdict['score']:.2f}"),
        ("TERMS", lambda verdict: ", ".join(f"{term} {value:.2f}" for term, value in verdict["terms"])),
        ("WHY NOT", lambda verdict: "; ".join(verdict["reasons"])),
    )
    print_rows(decision.get("verdicts", []), columns, output)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="1 to 63 of a-z, 0-9 and '-'; also the guest's hostname.")],
    image: Annotated[str, typer.Option("--image", help="What to clone.")],
    flavor: Annotated[str, typer.Option("--flavor", help="How large.")],
    network: Annotated[str | None, typer.Option("--network", help="May be left out when there is one.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Who may log in (default: the image's).")] = None,
    ssh_key: Annotated[
        list[Path] | None,
        typer.Option(
            "--ssh-key", metavar="FILE", help="Public keys, may be repeated (default: NACRE_SSH_KEY with .pub)."
        ),
    ] = None,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Make a VM and start it."""
    body = {"name": name, "image": image, "flavor": flavor, "ssh_keys": _public_keys(ssh_key)}
    body |= {key: value for key, value in (("network", network), ("user", user)) if value is not None}
    finish(client().post("/v1/vms", body), wait=wait, how=output, done=f"VM {name} runs: nacre vm ssh {name}")


@app.command()
def start(name: Name, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Start a stopped VM on the host that fits best now."""
    finish(client().post(at("vms", name, "start")), wait=wait, how=output, done=f"VM {name} runs")


@app.command("shut-down")
def shut_down(name: Name, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Ask the guest to power off."""
    finish(client().post(at("vms", name, "shut-down")), wait=wait, how=output, done=f"VM {name} is off")


@app.command("force-off")
def force_off(name: Name, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """End the VM at once, as pulling the plug does."""
    finish(client().post(at("vms", name, "force-off")), wait=wait, how=output, done=f"VM {name} is off")


@app.command()
def reset(name: Name, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Reset the VM, as its reset button does."""
    finish(client().post(at("vms", name, "reset")), wait=wait, how=output, done=f"VM {name} was reset")


@app.command()
def migrate(
    name: Name,
    to: Annotated[str | None, typer.Option("--to", help="Host to move to (default: the best other one).")] = None,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Move a running VM to another host, live."""
    job = client().post(at("vms", name, "migrate"), {"host": to} if to else {})
    job = finish(job, wait=wait, how=output, done=f"VM {name} moved")
    if wait and output is Format.TABLE:
        moved = {key: job["result"][key] for key in ("source", "target", "total_ms", "downtime_ms")}
        print_one(moved, output)


@app.command()
def delete(name: Name, yes: Yes = False, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Delete a VM with its disks. There is no way back."""
    if not yes:
        typer.confirm(f"Delete VM {name} and everything on its disks?", abort=True, err=True)
    finish(client().delete(at("vms", name)), wait=wait, how=output, done=f"VM {name} is gone")


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


def _public_keys(files: list[Path] | None) -> list[str]:
    if files is None:
        key = client().config.ssh_key
        files = [key.with_name(key.name + ".pub")] if key is not None else []
    return [line for file in files for line in _lines(file)]


def _lines(file: Path) -> list[str]:
    """The keys in one file; a private one never leaves this computer."""
    try:
        text = file.expanduser().read_text()
    except OSError as error:
        raise UsageError(f"The public key {file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is no OpenSSH public key.") from error
    if "PRIVATE KEY" in text:
        raise UsageError(f"{file} is a private key: give the public one, {file.name}.pub.")
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if not all(PUBLIC_KEY.match(key) for key in keys):
        raise UsageError(f"{file} is no OpenSSH public key.")
    return keys
