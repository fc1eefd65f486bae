"""nacre vm attach, detach, grow, insert, eject."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import at
from service.cli.errors import UsageError
from service.cli.output import Format
from service.cli.session import Output, Wait, Yes, client, finish, sure
from service.cli.vm import Name, app
from service.cli.vm_create import DISK_HELP, read_disk

Disk = Annotated[str, typer.Argument(help="Its target (vdb), or its volume's name or id.")]
Drive = Annotated[str | None, typer.Option("--drive", help="Target of the drive (default: the first).")]
SizeGib = Annotated[int, typer.Argument(help="How large it shall be, in GiB.")]


@app.command()
def attach(
    name: Name,
    disk: Annotated[str | None, typer.Option("--disk", help=DISK_HELP.partition(";")[0] + ".")] = None,
    volume: Annotated[str | None, typer.Option("--volume", help="A volume that is there.")] = None,
    bus: Annotated[str | None, typer.Option("--bus", help="For --volume: virtio (the default) or scsi.")] = None,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Give the VM one more disk, running or not."""
    if (disk is None) == (volume is None):
        raise UsageError("Say --disk for a new disk, or --volume for one that is there.")
    body = read_disk(disk) if disk is not None else {"volume": volume} | ({"bus": bus} if bus is not None else {})
    job = client().post(at("vms", name, "attach"), body)
    finish(job, wait=wait, how=output, done=f"VM {name} has its new disk")


@app.command()
def detach(
    name: Name,
    disk: Disk,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the volume with all that is on it.")] = False,
    yes: Yes = False,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Take a data disk off the VM, running or not; its volume is kept unless --delete."""
    if delete:
        sure(f"Delete everything on {disk} of VM {name}?", yes=yes)
    job = client().post(at("vms", name, "detach"), {"disk": disk, "delete": delete})
    finish(job, wait=wait, how=output, done=f"{disk} is deleted" if delete else f"{disk} is off VM {name}")


@app.command()
def grow(name: Name, disk: Disk, size_gib: SizeGib, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Make a disk of the VM larger, the root too, running or not. File systems are the guest's to grow."""
    job = client().post(at("vms", name, "grow"), {"disk": disk, "size_gib": size_gib})
    finish(job, wait=wait, how=output, done=f"{disk} of VM {name} has {size_gib} GiB")


@app.command()
def insert(
    name: Name,
    image: Annotated[str, typer.Argument(help="An ISO image.")],
    drive: Drive = None,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Put an ISO image into the VM's CD-ROM drive, whatever lies there now."""
    body = {"image": image} | ({"drive": drive} if drive is not None else {})
    job = client().post(at("vms", name, "insert"), body)
    finish(job, wait=wait, how=output, done=f"{image} lies in the drive of VM {name}")


@app.command()
def eject(name: Name, drive: Drive = None, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Leave the VM's CD-ROM drive empty."""
    job = client().post(at("vms", name, "eject"), {"drive": drive} if drive is not None else {})
    finish(job, wait=wait, how=output, done=f"the drive of VM {name} is empty")
