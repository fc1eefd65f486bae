"""nacre host …"""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import Json, at
from service.cli.output import Column, Format, notes, plain, print_one, print_rows
from service.cli.session import Output, Wait, client, finish, follow, group, stale

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
FINDING_COLUMNS: tuple[Column, ...] = (
    ("CHECK", lambda finding: finding["check"]),
    ("", lambda finding: finding["verdict"].upper()),
    ("FOUND", lambda finding: finding["told"]),
    ("HOW TO MEND IT", lambda finding: finding["mend"]),
)
Name = Annotated[str, typer.Argument(help="The host's name or id.")]


def _not_fine(findings: list[dict[str, str]]) -> list[dict[str, str]]:
    return [finding for finding in findings if finding["verdict"] != "ok"]


def _is_address(text: str) -> bool:
    return all(part.isdigit() for part in text.split("."))


def _used(host: Json, what: str) -> str:
    return f"{host['allocated'][what]}/{host['usable'][what]}"


@app.command("list")
def list_hosts(output: Output = Format.TABLE) -> None:
    """List all hosts with what is promised on them."""
    print_rows(client().items("/v1/hosts"), COLUMNS, output)


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show one host."""
    print_one(client().get(at("hosts", name)), output, {"findings": FINDING_COLUMNS})


@app.command()
def add(
    address: Annotated[str, typer.Argument(help="Its management address.")],
    name: Annotated[str | None, typer.Option(help="Default: its hostname, as Ceph's CRUSH map has it.")] = None,
    vcpus: Annotated[int | None, typer.Option(help="vCPUs that may be promised in all (default: its CPUs).")] = None,
    memory_mib: Annotated[int | None, typer.Option(help="Memory that may be promised in all (default: all).")] = None,
    reserved_vcpus: Annotated[int | None, typer.Option(help="vCPUs kept for the host's OSDs.")] = None,
    reserved_memory_mib: Annotated[
        int | None, typer.Option(help="Memory kept for the host's OSDs (default: 4 GiB each).")
    ] = None,
    ceph_user: Annotated[str | None, typer.Option(help="The host's cephx user (default: host-<hostname>).")] = None,
    force: Annotated[bool, typer.Option(help="Take it although checks fail that it can do without.")] = False,
    wait: Wait = True,
    output: Output = Format.TABLE,
) -> None:
    """Take a host into the cloud, once all that it needs was tried: 'nacre host check' shows what."""
    given = {
        "address": address,
        "name": name,
        "vcpus": vcpus,
        "memory_mib": memory_mib,
        "reserved_vcpus": reserved_vcpus,
        "reserved_memory_mib": reserved_memory_mib,
        "ceph_user": ceph_user,
        "force": force or None,
    }
    body = {key: value for key, value in given.items() if value is not None}
    job = finish(client().post("/v1/hosts", body), wait=wait, how=output, done=f"{name or address} is in the cloud")
    if wait and output is Format.TABLE:
        print_rows(_not_fine(job["result"]["findings"]), FINDING_COLUMNS, output)


@app.command()
def check(
    host: Annotated[str, typer.Argument(help="A host of the cloud, or the address of any machine.")],
    ceph_user: Annotated[str | None, typer.Option(help="Its cephx user, when it is not of the cloud yet.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Tell all that is wrong with a host, and how to mend it. Changes nothing; exit status 1 when it is unfit."""
    given = {"address" if _is_address(host) else "host": host, "ceph_user": ceph_user}
    body = {key: value for key, value in given.items() if value is not None}
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
    vcpus: Annotated[int | None, typer.Option(help="vCPUs that may be promised in all.")] = None,
    memory_mib: Annotated[int | None, typer.Option(help="Memory that may be promised in all.")] = None,
    reserved_vcpus: Annotated[int | None, typer.Option(help="vCPUs kept for the host's OSDs.")] = None,
    reserved_memory_mib: Annotated[int | None, typer.Option(help="Memory kept for the host's OSDs.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Change what is granted of a host."""
    given = {
        "vcpus": vcpus,
        "memory_mib": memory_mib,
        "reserved_vcpus": reserved_vcpus,
        "reserved_memory_mib": reserved_memory_mib,
    }
    body = {key: value for key, value in given.items() if value is not None}
    print_one(client().patch(at("hosts", name), body), output, {"findings": FINDING_COLUMNS})


@app.command()
def cordon(name: Name) -> None:
    """Let no new VM come to a host. Those that are there stay."""
    client().patch(at("hosts", name), {"state": "cordoned"})
    notes.print(plain(f"host {name} gets no new VMs"))


@app.command()
def activate(name: Name) -> None:
    """Let VMs come to a cordoned host again."""
    client().patch(at("hosts", name), {"state": "active"})
    notes.print(plain(f"host {name} gets VMs again"))


@app.command()
def remove(name: Name) -> None:
    """Let go of a host that runs no VM. Nothing is changed on the host."""
    client().delete(at("hosts", name))
    notes.print(plain(f"host {name} is no longer in the cloud"))
