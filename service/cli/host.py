"""nacre host …"""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import at
from service.cli.output import Column, Format, notes, plain, print_one, print_rows
from service.cli.session import Output, Wait, client, finish, group, stale

app = group("Hosts that run VMs.")

COLUMNS: tuple[Column, ...] = (
    ("NAME", lambda host: host["name"]),
    ("STATE", lambda host: host["state"]),
    ("ADDRESS", lambda host: host["address"]),
    ("VIRT", lambda host: host["virt_type"]),
    ("VMS", lambda host: host["allocated"]["vms"]),
    ("VCPUS", lambda host: _used(host, "vcpus")),
    ("MEMORY", lambda host: f"{_used(host, 'memory_mib')} MiB"),
    ("PROBLEM", lambda host: host["problem"] or stale(host["observed_at"]) or None),
)


def _used(host: dict[str, dict[str, int]], what: str) -> str:
    usable = int(str(host[what])) - host["reserved"][what]
    return f"{host['allocated'][what]}/{usable}"


@app.command("list")
def list_hosts(output: Output = Format.TABLE) -> None:
    """List all hosts with what is promised on them."""
    print_rows(client().items("/v1/hosts"), COLUMNS, output)


@app.command()
def show(name: str, output: Output = Format.TABLE) -> None:
    """Show one host."""
    print_one(client().get(at("hosts", name)), output)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The host's name, as Ceph's CRUSH map has it.")],
    address: Annotated[str, typer.Argument(help="Its management address.")],
    vcpus: Annotated[int, typer.Option(help="vCPUs that may be promised in all.")],
    memory_mib: Annotated[int, typer.Option(help="Memory that may be promised in all.")],
    reserved_vcpus: Annotated[int, typer.Option(help="vCPUs kept for the host's OSDs.")] = 0,
    reserved_memory_mib: Annotated[int, typer.Option(help="Memory kept for the host's OSDs.")] = 0,
    wait: Wait = True,
    output: Output = Format.TABLE,
) -> None:
    """Take a host into the cloud."""
    body = {
        "name": name,
        "address": address,
        "vcpus": vcpus,
        "memory_mib": memory_mib,
        "reserved_vcpus": reserved_vcpus,
        "reserved_memory_mib": reserved_memory_mib,
    }
    finish(client().post("/v1/hosts", body), wait=wait, how=output, done=f"host {name} is in the cloud")


@app.command()
def remove(name: str) -> None:
    """Let go of a host that runs no VM. Nothing is changed on the host."""
    client().delete(at("hosts", name))
    notes.print(plain(f"host {name} is no longer in the cloud"))
