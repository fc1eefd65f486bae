"""Command nacre vm adopt: running VMs that Nacre did not start."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import Json, at
from service.cli.errors import UsageError
from service.cli.output import Column, Format, notes, plain, print_rows
from service.cli.session import Output, Wait, client, finish
from service.cli.vm import app

COLUMNS: tuple[Column, ...] = (
    ("DOMAIN", lambda domain: domain["name"]),
    ("HOST", lambda domain: domain["host"]),
    ("STATE", lambda domain: domain["state"]),
    ("VCPUS", lambda domain: domain["vcpus"]),
    ("MEMORY", lambda domain: f"{domain['memory_mib']} MiB"),
    ("ID", lambda domain: domain["vm_id"]),
)


@app.command()
def adopt(
    name: Annotated[str | None, typer.Argument(help="The domain's name or UUID; after adoption the VM's name.")] = None,
    vm_name: Annotated[str | None, typer.Option("--as", help="The VM's name (default: the domain's).")] = None,
    flavor: Annotated[str | None, typer.Option(help="Required if no flavor has the domain's size.")] = None,
    address: Annotated[list[str] | None, typer.Option(help="MAC=ADDRESS of a network card; may be repeated.")] = None,
    confirm: Annotated[bool, typer.Option(help="Confirm an adopted VM: Nacre manages it like any other.")] = False,
    release: Annotated[
        bool, typer.Option(help="Release an adopted VM that is not confirmed; it keeps running.")
    ] = False,
    wait: Wait = True,
    output: Output = Format.TABLE,
) -> None:
    """Adopt a running VM that Nacre did not start.

    Without a name, list the domains that can be adopted. An adopted VM keeps running unchanged: Nacre only observes it
    until it is confirmed.
    """
    if name is None:
        print_rows(_foreign(), COLUMNS, output)
    elif confirm:
        job = client().post(at("vms", name, "confirm"))
        finish(
            job, wait=wait, how=output, done=f"VM {name} is managed by Nacre; it gets Nacre's devices at its next start"
        )
    elif release:
        client().post(at("vms", name, "release"))
        notes.print(plain(f"VM {name} is released; it keeps running"))
    else:
        domain = _find(name)
        body: Json = {"host": domain["host"], "domain": domain["vm_id"], "name": vm_name or domain["name"]}
        body |= {"flavor": flavor} if flavor else {}
        body |= {"addresses": _addresses(address)} if address else {}
        done = f"VM {body['name']} is adopted; 'nacre vm adopt {body['name']} --confirm' lets Nacre manage it"
        finish(client().post("/v1/adoptions", body), wait=wait, how=output, done=done)


def _foreign() -> list[Json]:
    hosts = client().items("/v1/hosts")
    return [{**domain, "host": host["name"]} for host in hosts for domain in (host["facts"] or {}).get("foreign", [])]


def _find(name: str) -> Json:
    found = [domain for domain in _foreign() if name in (domain["name"], domain["vm_id"])]
    if len(found) != 1:
        problem = "Several hosts have" if found else "No host has"
        raise UsageError(f"{problem} a domain '{name}': 'nacre vm adopt' lists all, with their UUIDs.")
    return found[0]


def _addresses(options: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in options]
    if not all(mac and address for mac, _, address in pairs):
        raise UsageError("Write each --address as MAC=ADDRESS.")
    return {mac: address for mac, _, address in pairs}
