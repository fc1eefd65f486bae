"""nacre vm adopt: VMs that somebody else started."""

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
    name: Annotated[str | None, typer.Argument(help="The domain's name or UUID; once adopted, the VM's name.")] = None,
    vm_name: Annotated[str | None, typer.Option("--as", help="The VM's name, when the domain's will not do.")] = None,
    flavor: Annotated[str | None, typer.Option(help="Needed when no flavor has the domain's size.")] = None,
    address: Annotated[list[str] | None, typer.Option(help="MAC=ADDRESS of a card; may be repeated.")] = None,
    confirm: Annotated[bool, typer.Option(help="Take an adopted VM over: from now on it is like the others.")] = False,
    release: Annotated[bool, typer.Option(help="Forget an adopted VM that was not confirmed; it runs on.")] = False,
    wait: Wait = True,
    output: Output = Format.TABLE,
) -> None:
    """Take in a VM that somebody else started. Without a name: list what could be adopted.

    An adopted VM runs on untouched and is only looked at, until it is confirmed.
    """
    if name is None:
        print_rows(_foreign(), COLUMNS, output)
    elif confirm:
        job = client().post(at("vms", name, "confirm"))
        finish(job, wait=wait, how=output, done=f"VM {name} is managed now: its next start gives it Nacre's devices")
    elif release:
        client().post(at("vms", name, "release"))
        notes.print(plain(f"VM {name} is forgotten; it runs on"))
    else:
        domain = _find(name)
        body: Json = {"host": domain["host"], "domain": domain["vm_id"], "name": vm_name or domain["name"]}
        body |= {"flavor": flavor} if flavor else {}
        body |= {"addresses": _addresses(address)} if address else {}
        done = f"VM {body['name']} is looked at: 'nacre vm adopt {body['name']} --confirm' takes it over"
        finish(client().post("/v1/adoptions", body), wait=wait, how=output, done=done)


def _foreign() -> list[Json]:
    hosts = client().items("/v1/hosts")
    return [{**domain, "host": host["name"]} for host in hosts for domain in (host["facts"] or {}).get("foreign", [])]


def _find(name: str) -> Json:
    found = [domain for domain in _foreign() if name in (domain["name"], domain["vm_id"])]
    if len(found) != 1:
        told = "several hosts have" if found else "no host was seen to have"
        raise UsageError(f"{told} a domain '{name}': 'nacre vm adopt' lists them, with their UUIDs.")
    return found[0]


def _addresses(given: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    if not all(mac and address for mac, _, address in pairs):
        raise UsageError("An address is given as MAC=ADDRESS.")
    return {mac: address for mac, _, address in pairs}
