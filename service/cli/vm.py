"""Commands nacre vm: list, show, power, size, placement and metadata of VMs."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import Json, at
from service.cli.errors import ApiError
from service.cli.output import Column, Format, notes, plain, print_one, size
from service.cli.session import Output, Wait, Yes, client, confirm, finish, group, print_owned, stale
from service.cli.verdicts import print_decision

app = group("VMs: virtual machines.")

Name = Annotated[str, typer.Argument(help="The VM's name or id.")]

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
PARTS: dict[str, tuple[Column, ...]] = {
    "volumes": (
        ("DISK", lambda volume: volume["target"]),
        ("ROLE", lambda volume: volume["role"]),
        ("NAME", lambda volume: volume["name"]),
        ("SIZE", lambda volume: size(volume["size_bytes"])),
        ("BUS", lambda volume: volume["bus"]),
        ("POOL", lambda volume: volume["pool"]),
        ("STATE", lambda volume: volume["state"]),
        ("IMAGE", lambda volume: volume["image"]),
    ),
    "cdroms": (
        ("DRIVE", lambda drive: drive["target"]),
        ("BUS", lambda drive: drive["bus"]),
        ("MEDIUM", lambda drive: drive["image"]),
    ),
    "nics": (
        ("NETWORK", lambda nic: nic["network"]),
        ("ADDRESS", lambda nic: nic["address"]),
        ("MAC", lambda nic: nic["mac"]),
        ("MODEL", lambda nic: nic["model"]),
    ),
}


def _stale(vm: dict[str, str | None]) -> str:
    return stale(vm["observed_at"]) if vm["host"] else ""


@app.command("list")
def list_vms(
    host: Annotated[str, typer.Option(help="Only VMs on this host.")] = "",
    state: Annotated[str, typer.Option(help="Only VMs observed in this state: running, stopped, paused …")] = "",
    flavor: Annotated[str, typer.Option(help="Only VMs of this flavor.")] = "",
    image: Annotated[str, typer.Option(help="Only VMs created from this image.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """List the VMs that you may see."""
    filters = {"host": host, "observed_state": state, "flavor": flavor, "image": image}
    rows = client().items("/v1/vms", **{key: value for key, value in filters.items() if value})
    print_owned(rows, COLUMNS, output)


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show a VM: its state, address, host and disks."""
    print_one(client().get(at("vms", name)), output, PARTS)


@app.command()
def why(name: Name, output: Output = Format.TABLE) -> None:
    """Show why a VM is on its host.

    For every host: its score, or the reasons against it.
    """
    print_decision(decision_about(name), output)


def decision_about(ref: str) -> Json:
    """Return the last decision about a VM, with every host if the facts are stored."""
    decision: Json = client().get(at("vms", ref, "placement"))
    if decision.get("facts") is None:
        return decision
    try:
        return client().get(at("placements", decision["id"]), full="true")
    except ApiError as error:
        if error.problem.get("code") != "placement.facts_gone":
            raise
        return decision


@app.command()
def start(
    name: Name,
    paused: Annotated[bool, typer.Option("--paused", help="Pause it before its first instruction.")] = False,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Start a stopped VM on the best host."""
    job = client().post(at("vms", name, "start"), {"paused": True} if paused else {})
    finish(job, wait=wait, how=output, done=f"VM {name} is paused" if paused else f"VM {name} is running")


@app.command()
def pause(name: Name, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Pause a running VM: its vCPUs stop, its memory is kept."""
    finish(client().post(at("vms", name, "pause")), wait=wait, how=output, done=f"VM {name} is paused")


@app.command()
def resume(name: Name, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Resume a paused VM."""
    finish(client().post(at("vms", name, "resume")), wait=wait, how=output, done=f"VM {name} is running")


@app.command("shut-down")
def shut_down(name: Name, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Shut down a VM: ask its guest to power off."""
    finish(client().post(at("vms", name, "shut-down")), wait=wait, how=output, done=f"VM {name} is stopped")


@app.command("force-off")
def force_off(name: Name, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Force off a VM at once, like pulling the power plug."""
    finish(client().post(at("vms", name, "force-off")), wait=wait, how=output, done=f"VM {name} is stopped")


@app.command()
def reset(name: Name, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Reset a running VM, like its reset button."""
    finish(client().post(at("vms", name, "reset")), wait=wait, how=output, done=f"VM {name} was reset")


@app.command()
def migrate(
    name: Name,
    to: Annotated[str | None, typer.Option("--to", help="Target host (default: the best other host).")] = None,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Migrate a running VM to another host, live."""
    job = client().post(at("vms", name, "migrate"), {"host": to} if to else {})
    job = finish(job, wait=wait, how=output, done=f"VM {name} is migrated")
    if wait and output is Format.TABLE:
        report = {key: job["result"][key] for key in ("source", "target", "total_ms", "downtime_ms")}
        print_one(report, output)


@app.command()
def rename(
    name: Name,
    new_name: Annotated[str, typer.Argument(help="1 to 63 of a-z, 0-9 and '-'.")],
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Rename a VM; the hostname inside the guest is unchanged."""
    job = client().post(at("vms", name, "rename"), {"name": new_name})
    finish(
        job,
        wait=wait,
        how=output,
        done=f"VM {name} is renamed to {new_name}; the hostname inside the guest is unchanged",
    )


@app.command()
def resize(
    name: Name,
    flavor: Annotated[str, typer.Option("--flavor", help="New flavor.")],
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Resize a VM to another flavor.

    By hot-plug if possible, else at the VM's next start.
    """
    job = client().post(at("vms", name, "resize"), {"flavor": flavor})
    job = finish(job, wait=wait, how=output, done=f"VM {name} has flavor {flavor}")
    if wait and output is Format.TABLE and job["result"]["reasons"]:
        notes.print(plain(f"the new size takes effect at its next start: {'; '.join(job['result']['reasons'])}"))


@app.command("set")
def set_vm(
    name: Name,
    description: Annotated[str | None, typer.Option("--description", help="Description of the VM.")] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", help="New tag, replaces all tags; may be repeated.")
    ] = None,
    clear_tags: Annotated[bool, typer.Option("--clear-tags", help="Remove all tags.")] = False,
    boot: Annotated[
        str | None, typer.Option("--boot", help="Boot order from the next start: disk,cdrom,network.")
    ] = None,
    groups: Annotated[
        list[str] | None, typer.Option("--placement-group", help="New placement group, replaces all; may be repeated.")
    ] = None,
    clear_groups: Annotated[bool, typer.Option("--clear-placement-groups", help="Leave all placement groups.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Update a VM's metadata, boot order or placement groups."""
    tags = [] if clear_tags and not tags else tags
    groups = [] if clear_groups and not groups else groups
    changes = {
        "description": description,
        "tags": tags,
        "boot": boot.split(",") if boot is not None else None,
        "placement_groups": groups,
    }
    print_one(
        client().patch(at("vms", name), {key: value for key, value in changes.items() if value is not None}),
        output,
        PARTS,
    )


@app.command()
def delete(
    name: Name,
    keep_disks: Annotated[bool, typer.Option("--keep-disks", help="Keep its data disks as volumes.")] = False,
    yes: Yes = False,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Delete a VM with its disks; this cannot be undone."""
    confirm(f"Delete VM {name} and everything on its disks?", yes=yes)
    path = at("vms", name) + ("?keep_disks=true" if keep_disks else "")
    finish(client().delete(path), wait=wait, how=output, done=f"VM {name} is deleted")
