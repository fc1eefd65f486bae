"""nacre vm …: what VMs there are, and their buttons."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import Json, at
from service.cli.errors import ApiError
from service.cli.output import Column, Format, notes, plain, print_one, size
from service.cli.session import Output, Wait, Yes, client, finish, group, print_owned, stale, sure
from service.cli.verdicts import print_decision

app = group("Virtual machines.")

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
    host: Annotated[str, typer.Option(help="Only those on this host.")] = "",
    state: Annotated[str, typer.Option(help="Only those seen in this state: running, stopped, paused …")] = "",
    flavor: Annotated[str, typer.Option(help="Only those of this flavor.")] = "",
    image: Annotated[str, typer.Option(help="Only those made from this image.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """List VMs: all that you may see, or some of them."""
    asked = {"host": host, "observed_state": state, "flavor": flavor, "image": image}
    rows = client().items("/v1/vms", **{key: value for key, value in asked.items() if value})
    print_owned(rows, COLUMNS, output)


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show one VM: its state, address, host and disks."""
    print_one(client().get(at("vms", name)), output, PARTS)


@app.command()
def why(name: Name, output: Output = Format.TABLE) -> None:
    """Show why the VM is on its host: every host's score, or the reasons against it."""
    print_decision(decision_about(name), output)


def decision_about(ref: str) -> Json:
    """The last decision about a VM, in full as long as that can be told."""
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
    paused: Annotated[bool, typer.Option("--paused", help="Hold it still until 'nacre vm resume'.")] = False,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Start a stopped VM on the host that fits best now."""
    job = client().post(at("vms", name, "start"), {"paused": True} if paused else {})
    finish(job, wait=wait, how=output, done=f"VM {name} is paused" if paused else f"VM {name} runs")


@app.command()
def pause(name: Name, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Hold a running VM still."""
    finish(client().post(at("vms", name, "pause")), wait=wait, how=output, done=f"VM {name} is paused")


@app.command()
def resume(name: Name, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Let a paused VM go on."""
    finish(client().post(at("vms", name, "resume")), wait=wait, how=output, done=f"VM {name} runs")


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
def rename(
    name: Name,
    new_name: Annotated[str, typer.Argument(help="1 to 63 of a-z, 0-9 and '-'.")],
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Give the VM another name. The guest's own hostname stays what it was."""
    job = client().post(at("vms", name, "rename"), {"name": new_name})
    finish(job, wait=wait, how=output, done=f"VM {name} is {new_name} now; its hostname inside is unchanged")


@app.command()
def resize(
    name: Name,
    flavor: Annotated[str, typer.Option("--flavor", help="How large it shall be.")],
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Give the VM another flavor: at once where it can take more while it runs, else at its next start."""
    job = client().post(at("vms", name, "resize"), {"flavor": flavor})
    job = finish(job, wait=wait, how=output, done=f"VM {name} is of flavor {flavor}")
    if wait and output is Format.TABLE and job["result"]["reasons"]:
        notes.print(plain(f"at its next start, because {'; '.join(job['result']['reasons'])}"))


@app.command()
def edit(
    name: Name,
    description: Annotated[str | None, typer.Option("--description", help="For people.")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="In place of those it has; may be repeated.")] = None,
    clear_tags: Annotated[bool, typer.Option("--clear-tags", help="Drop the tags that it has.")] = False,
    boot: Annotated[str | None, typer.Option("--boot", help="From its next start on: disk,cdrom,network.")] = None,
    groups: Annotated[
        list[str] | None, typer.Option("--placement-group", help="In place of those it obeys; may be repeated.")
    ] = None,
    clear_groups: Annotated[bool, typer.Option("--clear-placement-groups", help="Obey none.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Change the VM's description, tags, boot order and placement groups."""
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
    """Delete a VM with its disks. There is no way back."""
    sure(f"Delete VM {name} and everything on its disks?", yes=yes)
    path = at("vms", name) + ("?keep_disks=true" if keep_disks else "")
    finish(client().delete(path), wait=wait, how=output, done=f"VM {name} is gone")
