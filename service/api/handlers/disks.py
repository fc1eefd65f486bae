"""Disks and CD-ROM drives of VMs over HTTP."""

from __future__ import annotations

from typing import cast

from service.api.models.disks import AttachDisk, DetachDisk, EjectMedium, ExtraDisk, GrowDisk, InsertMedium
from service.edge.call import Accepted, Call
from service.edge.models import GIB
from service.operations.disks import attach_disk, change_medium, detach_disk, grow_volume
from service.operations.rows.new_vm import NewDisk


def attach(call: Call) -> Accepted:
    """Give a VM one more disk, running or not: a new one, or a volume that is there."""
    body = cast(AttachDisk, call.body)
    if body.volume is not None:
        job_id = attach_disk.request_existing(call.ctx, call.actor, call.ref, body.volume, body.bus)
    else:
        job_id = attach_disk.request(call.ctx, call.actor, call.ref, new_disk(body))
    return Accepted(job_id)


def detach(call: Call) -> Accepted:
    """Take a data disk off a VM, running or not."""
    body = cast(DetachDisk, call.body)
    return Accepted(detach_disk.request(call.ctx, call.actor, call.ref, body.disk, delete=body.delete))


def grow(call: Call) -> Accepted:
    """Make a VM's disk larger, running or not."""
    body = cast(GrowDisk, call.body)
    return Accepted(grow_volume.request_on_vm(call.ctx, call.actor, call.ref, body.disk, body.size_gib * GIB))


def insert(call: Call) -> Accepted:
    """Put an ISO image into a VM's CD-ROM drive."""
    body = cast(InsertMedium, call.body)
    return Accepted(change_medium.insert(call.ctx, call.actor, call.ref, body.image, body.drive))


def eject(call: Call) -> Accepted:
    """Leave a VM's CD-ROM drive empty."""
    body = cast(EjectMedium, call.body)
    return Accepted(change_medium.eject(call.ctx, call.actor, call.ref, body.drive))


def new_disk(body: ExtraDisk | AttachDisk) -> NewDisk:
    """The disk that a body describes."""
    size_bytes = body.size_gib * GIB if body.size_gib is not None else None
    return NewDisk(size_bytes, image=body.image, pool=body.pool, bus=body.bus, name=body.name)
