"""Commands nacre vm attach, detach, grow, insert and eject."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import at
from service.cli.errors import UsageError
from service.cli.output import Format
from service.cli.session import Output, Wait, Yes, client, confirm, finish
from service.cli.vm import Name, app
from service.cli.vm_create import DISK_HELP, read_disk

Disk = Annotated[str, typer.Argument(help="The disk's target (vdb), or its volume's name or id.")]
Drive = Annotated[str | None, typer.Option("--drive", help="Target of the CD-ROM drive (default: the first).")]
SizeGib = Annotated[int, typer.Argument(help="New size in GiB.")]


@app.command()
def attach(
    name: Name,
    disk: Annotated[str | None, typer.Option("--disk", help=DISK_HELP.partition(";")[0] + ".")] = None,
    volume: Annotated[str | None, typer.Option("--volume", help="Existing volume.")] = None,
    bus: Annotated[str | None, typer.Option("--bus", help="Bus for --volume: virtio (default) or scsi.")] = None,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Attach a new disk or an existing volume to a VM.

    The VM may be running or stopped.
    """
    if (disk is None) == (volume is None):
        raise UsageError("Add --disk for a new disk, or --volume for an existing one.")
    body = read_disk(disk) if disk is not None else {"volume": volume} | ({"bus": bus} if bus is not None else {})
    job = client().post(at("vms", name, "attach"), body)
    finish(job, wait=wait, how=output, done=f"the disk is attached to VM {name}")


@app.command()
def detach(
    name: Name,
    disk: Disk,
    delete: Annotated[bool, typer.Option("--delete", help="Also delete the volume and its data.")] = False,
    yes: Yes = False,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Detach a data disk from a VM.

    The VM may be running or stopped. The volume is kept unless --delete is given.
    """
    if delete:
        confirm(f"Delete everything on {disk} of VM {name}?", yes=yes)
    job = client().post(at("vms", name, "detach"), {"disk": disk, "delete": delete})
    finish(job, wait=wait, how=output, done=f"{disk} is deleted" if delete else f"{disk} is detached from VM {name}")


@app.command()
def grow(name: Name, disk: Disk, size_gib: SizeGib, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Grow a disk of a VM.

    The VM may be running or stopped. The guest must grow its file system itself.
    """
    job = client().post(at("vms", name, "grow"), {"disk": disk, "size_gib": size_gib})
    finish(job, wait=wait, how=output, done=f"{disk} of VM {name} is {size_gib} GiB")


@app.command()
def insert(
    name: Name,
    image: Annotated[str, typer.Argument(help="Name or id of an ISO image.")],
    drive: Drive = None,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Insert an ISO image into a VM's CD-ROM drive.

    It replaces an image that is in the drive.
    """
    body = {"image": image} | ({"drive": drive} if drive is not None else {})
    job = client().post(at("vms", name, "insert"), body)
    finish(job, wait=wait, how=output, done=f"{image} is inserted into the drive of VM {name}")


@app.command()
def eject(name: Name, drive: Drive = None, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Eject the ISO image from a VM's CD-ROM drive."""
    job = client().post(at("vms", name, "eject"), {"drive": drive} if drive is not None else {})
    finish(job, wait=wait, how=output, done=f"the drive of VM {name} is empty")
