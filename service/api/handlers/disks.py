"""Handlers for disks and CD-ROM drives of VMs."""

from __future__ import annotations

from service.api.models.disks import AttachDisk, DetachDisk, EjectMedium, ExtraDisk, GrowDisk, InsertMedium
from service.edge.call import Accepted, Call
from service.edge.models import GIB
from service.operations.disks import attach_disk, change_medium, detach_disk, grow_volume
from service.operations.rows.new_vm import NewDisk


def attach(call: Call[AttachDisk]) -> Accepted:
    """Attach a new disk or an existing volume to a VM, running or stopped."""
    body = call.body
    if body.volume is not None:
        job_id = attach_disk.request_existing(call.ctx, call.actor, call.ref, body.volume, body.bus)
    else:
        job_id = attach_disk.request(call.ctx, call.actor, call.ref, new_disk(body))
    return Accepted(job_id)


def detach(call: Call[DetachDisk]) -> Accepted:
    """Detach a data disk from a VM, running or stopped."""
    body = call.body
    return Accepted(detach_disk.request(call.ctx, call.actor, call.ref, body.disk, delete=body.delete))


def grow(call: Call[GrowDisk]) -> Accepted:
    """Grow a disk of a VM, running or stopped."""
    body = call.body
    return Accepted(grow_volume.request_on_vm(call.ctx, call.actor, call.ref, body.disk, body.size_gib * GIB))


def insert(call: Call[InsertMedium]) -> Accepted:
    """Insert an ISO image into a VM's CD-ROM drive."""
    body = call.body
    return Accepted(change_medium.insert(call.ctx, call.actor, call.ref, body.image, body.drive))


def eject(call: Call[EjectMedium]) -> Accepted:
    """Eject the ISO image from a VM's CD-ROM drive."""
    body = call.body
    return Accepted(change_medium.eject(call.ctx, call.actor, call.ref, body.drive))


def new_disk(body: ExtraDisk | AttachDisk) -> NewDisk:
    """Return the disk that a body describes."""
    size_bytes = body.size_gib * GIB if body.size_gib is not None else None
    return NewDisk(size_bytes, image=body.image, pool=body.pool, bus=body.bus, name=body.name)
