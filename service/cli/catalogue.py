"""Commands nacre flavor and nacre network."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import at
from service.cli.output import Column, Format, notes, plain, print_one, print_rows, size
from service.cli.session import Output, client, group

flavors = group("Flavors: sizes of VMs.")
networks = group("Networks that VMs are connected to.")

FLAVOR_COLUMNS: tuple[Column, ...] = (
    ("NAME", lambda flavor: flavor["name"]),
    ("VCPUS", lambda flavor: f"{flavor['vcpus']} (to {flavor['max_vcpus']})"),
    ("MEMORY", lambda flavor: f"{flavor['memory_mib']} MiB (to {flavor['max_memory_mib']})"),
    ("DISK", lambda flavor: size(flavor["disk_bytes"])),
)
NETWORK_COLUMNS: tuple[Column, ...] = (
    ("NAME", lambda network: network["name"]),
    ("BRIDGE", lambda network: network["bridge"]),
    ("CIDR", lambda network: network["cidr"]),
    ("GATEWAY", lambda network: network["gateway"]),
    ("ADDRESSES", lambda network: f"{network['first_address']} - {network['last_address']}"),
)


@flavors.command("list")
def list_flavors(output: Output = Format.TABLE) -> None:
    """List all flavors."""
    print_rows(client().items("/v1/flavors"), FLAVOR_COLUMNS, output)


@flavors.command("show")
def show_flavor(name: str, output: Output = Format.TABLE) -> None:
    """Show a flavor."""
    print_one(client().get(at("flavors", name)), output)


@flavors.command("create")
def create_flavor(
    name: str,
    vcpus: Annotated[int, typer.Option(help="Number of vCPUs.")],
    memory_mib: Annotated[int, typer.Option(help="Memory in MiB.")],
    disk_gib: Annotated[int, typer.Option(help="Default size of the root disk in GiB.")],
    max_vcpus: Annotated[int | None, typer.Option(help="Limit for hot-plugged vCPUs (default: vcpus).")] = None,
    max_memory_mib: Annotated[
        int | None, typer.Option(help="Limit for hot-plugged memory (default: memory-mib).")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Create a flavor."""
    body = {"name": name, "vcpus": vcpus, "memory_mib": memory_mib, "disk_gib": disk_gib}
    limits = (("max_vcpus", max_vcpus), ("max_memory_mib", max_memory_mib))
    body |= {key: value for key, value in limits if value is not None}
    print_one(client().post("/v1/flavors", body), output)


@flavors.command("delete")
def delete_flavor(name: str) -> None:
    """Delete a flavor that no VM uses."""
    client().delete(at("flavors", name))
    notes.print(plain(f"flavor {name} is deleted"))


@networks.command("list")
def list_networks(output: Output = Format.TABLE) -> None:
    """List all guest networks."""
    print_rows(client().items("/v1/networks"), NETWORK_COLUMNS, output)


@networks.command("show")
def show_network(name: str, output: Output = Format.TABLE) -> None:
    """Show a guest network."""
    print_one(client().get(at("networks", name)), output)


@networks.command("create")
def create_network(
    name: str,
    bridge: Annotated[str, typer.Option(help="Name of the bridge, the same on every host.")],
    cidr: Annotated[str, typer.Option(help="Subnet, for example 10.0.0.0/24.")],
    first_address: Annotated[str, typer.Option(help="First address to assign to VMs.")],
    last_address: Annotated[str, typer.Option(help="Last address to assign to VMs.")],
    gateway: Annotated[str | None, typer.Option(help="Default gateway of the guests.")] = None,
    dns: Annotated[list[str] | None, typer.Option(help="A name server; may be repeated up to three times.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Create a guest network."""
    body: dict[str, object] = {
        "name": name,
        "bridge": bridge,
        "cidr": cidr,
        "first_address": first_address,
        "last_address": last_address,
        "dns": dns or [],
    }
    if gateway is not None:
        body["gateway"] = gateway
    print_one(client().post("/v1/networks", body), output)


@networks.command("delete")
def delete_network(name: str) -> None:
    """Delete a guest network that no VM uses."""
    client().delete(at("networks", name))
    notes.print(plain(f"network {name} is deleted"))
