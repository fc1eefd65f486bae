"""What is done to the disks of a VM that runs, by jobs and to take back what they did.

A guest may power itself off at any moment: a domain that is gone needs nothing, since its next start is from the rows.
"""

from __future__ import annotations

from contextlib import suppress

from service.context import Context
from service.db import queries
from service.db.tables import Drive, Host, Vm, Volume
from service.hypervisor.errors import DomainNotFoundError
from service.operations.on_host.domain_spec import disk_spec, drive_spec, endpoint


def plug_in(ctx: Context, vm: Vm, volume: Volume) -> None:
    """Show the guest a disk. May be repeated."""
    host = queries.host_of(vm)
    with suppress(DomainNotFoundError):
        ctx.hypervisors.on(endpoint(host)).attach_disk(vm.id, disk_spec(ctx, volume, host))


def unplug(ctx: Context, vm_id: str, host_id: str, target: str) -> None:
    """Have the guest let go of a disk. Silent when it has none there. Raises DetachRefusedError."""
    ctx.hypervisors.on(endpoint(queries.by_id(Host, host_id))).detach_disk(vm_id, target)


def plug_back(ctx: Context, vm_id: str, host_id: str, volume_id: str) -> None:
    """The disk stays after all, also when the guest let go of it late."""
    vm, volume = queries.by_id(Vm, vm_id), queries.by_id(Volume, volume_id)
    host = queries.by_id(Host, host_id)
    with suppress(DomainNotFoundError):
        ctx.hypervisors.on(endpoint(host)).attach_disk(vm.id, disk_spec(ctx, volume, host))


def show_size(ctx: Context, vm: Vm, volume: Volume) -> None:
    """Tell the guest how large its disk is now."""
    with suppress(DomainNotFoundError):
        on = ctx.hypervisors.on(endpoint(queries.host_of(vm)))
        on.grow_disk(vm.id, str(volume.target), volume.size_bytes)


def load(ctx: Context, vm: Vm, drive: Drive) -> None:
    """Put into the drive what its row says, or leave it empty."""
    host = queries.host_of(vm)
    with suppress(DomainNotFoundError):
        ctx.hypervisors.on(endpoint(host)).change_medium(vm.id, drive_spec(ctx, drive, host))
