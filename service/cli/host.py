"""Commands nacre host."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import Json, at
from service.cli.output import Column, Format, notes, plain, print_one, print_rows
from service.cli.session import Output, Wait, client, finish, follow, group, stale

app = group("Hosts: the machines that run VMs.")

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
FINDING_COLUMNS: tuple[Column, ...] = (
    ("CHECK", lambda finding: finding["check"]),
    ("", lambda finding: finding["verdict"].upper()),
    ("DETAIL", lambda finding: finding["detail"]),
    ("FIX", lambda finding: finding["fix"]),
)
Name = Annotated[str, typer.Argument(help="The host's name or id.")]


def _problems(findings: list[dict[str, str]]) -> list[dict[str, str]]:
    return [finding for finding in findings if finding["verdict"] != "ok"]


def _is_address(text: str) -> bool:
    return all(part.isdigit() for part in text.split("."))


def _used(host: Json, resource: str) -> str:
    return f"{host['allocated'][resource]}/{host['usable'][resource]}"


@app.command("list")
def list_hosts(output: Output = Format.TABLE) -> None:
    """List hosts with their allocations."""
    print_rows(client().items("/v1/hosts"), COLUMNS, output)


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show a host."""
    print_one(client().get(at("hosts", name)), output, {"findings": FINDING_COLUMNS})


@app.command()
def add(
    address: Annotated[str, typer.Argument(help="The host's management address.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the host (default: its hostname, as in Ceph's CRUSH map).")
    ] = None,
    vcpus: Annotated[int | None, typer.Option(help="vCPUs to allocate in total (default: its CPUs).")] = None,
    memory_mib: Annotated[int | None, typer.Option(help="Memory in MiB to allocate in total (default: all).")] = None,
    reserved_vcpus: Annotated[int | None, typer.Option(help="vCPUs reserved for the host's OSDs.")] = None,
    reserved_memory_mib: Annotated[
        int | None, typer.Option(help="Memory in MiB reserved for the host's OSDs (default: 4 GiB each).")
    ] = None,
    ceph_user: Annotated[str | None, typer.Option(help="The host's cephx user (default: host-<hostname>).")] = None,
    force: Annotated[bool, typer.Option(help="Add the host although optional checks fail.")] = False,
    wait: Wait = True,
    output: Output = Format.TABLE,
) -> None:
    """Add a host to the cloud, after its checks pass.

    'nacre host check' runs the same checks and changes nothing.
    """
    fields = {
        "address": address,
        "name": name,
        "vcpus": vcpus,
        "memory_mib": memory_mib,
        "reserved_vcpus": reserved_vcpus,
        "reserved_memory_mib": reserved_memory_mib,
        "ceph_user": ceph_user,
        "force": force or None,
    }
    body = {key: value for key, value in fields.items() if value is not None}
    job = finish(client().post("/v1/hosts", body), wait=wait, how=output, done=f"host {name or address} is added")
    if wait and output is Format.TABLE:
        print_rows(_problems(job["result"]["findings"]), FINDING_COLUMNS, output)


@app.command()
def check(
    host: Annotated[str, typer.Argument(help="A host's name or id, or the address of any machine.")],
    ceph_user: Annotated[str | None, typer.Option(help="cephx user of a machine that is not a host yet.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Check a host or a machine and list every problem with its fix.

    Changes nothing. The exit status is 1 if a required check fails.
    """
    fields = {"address" if _is_address(host) else "host": host, "ceph_user": ceph_user}
    body = {key: value for key, value in fields.items() if value is not None}
    job = follow(client().post("/v1/host-checks", body))
    if output is Format.JSON:
        print_one(job["result"], output)
    else:
        print_rows(job["result"]["findings"], FINDING_COLUMNS, output)
    if not job["result"]["fit"]:
        raise typer.Exit(1)


@app.command("set")
def set_host(
    name: Name,
    vcpus: Annotated[int | None, typer.Option(help="vCPUs to allocate in total.")] = None,
    memory_mib: Annotated[int | None, typer.Option(help="Memory in MiB to allocate in total.")] = None,
    reserved_vcpus: Annotated[int | None, typer.Option(help="vCPUs reserved for the host's OSDs.")] = None,
    reserved_memory_mib: Annotated[int | None, typer.Option(help="Memory in MiB reserved for the host's OSDs.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Update a host's capacity and reservations."""
    fields = {
        "vcpus": vcpus,
        "memory_mib": memory_mib,
        "reserved_vcpus": reserved_vcpus,
        "reserved_memory_mib": reserved_memory_mib,
    }
    body = {key: value for key, value in fields.items() if value is not None}
    print_one(client().patch(at("hosts", name), body), output, {"findings": FINDING_COLUMNS})


@app.command()
def cordon(name: Name) -> None:
    """Cordon a host: it gets no new VMs, its VMs keep running."""
    client().patch(at("hosts", name), {"state": "cordoned"})
    notes.print(plain(f"host {name} is cordoned: it gets no new VMs"))


@app.command()
def activate(name: Name) -> None:
    """Activate a cordoned host: it gets new VMs again."""
    client().patch(at("hosts", name), {"state": "active"})
    notes.print(plain(f"host {name} is active: it gets new VMs again"))


@app.command()
def remove(name: Name) -> None:
    """Remove a host that runs no VM from Nacre.

    Nothing is changed on the host itself.
    """
    client().delete(at("hosts", name))
    notes.print(plain(f"host {name} is removed"))
