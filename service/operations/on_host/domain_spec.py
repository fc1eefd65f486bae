"""A VM's rows as a DomainSpec for one host: rendered afresh at every start and every move."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import cast

from service.context import Context
from service.db import queries
from service.db.engine.sql_types import Value
from service.db.tables import Host, Vm, Volume
from service.hypervisor.contract import HostEndpoint
from service.hypervisor.spec import CpuSpec, DiskSpec, DomainSpec, NicSpec, VirtType
from service.operations.rows import volume_rows
from storage.refs import Attachment, HostRef

NO_DISKS = ("nvram", "medium")  # what else a VM's volumes are


def endpoint(host: Host) -> HostEndpoint:
    """Where a host's hypervisor is reached."""
    return HostEndpoint(name=host.name, address=host.address)


def domain_spec(ctx: Context, vm: Vm, host: Host, job_id: str) -> DomainSpec:
    """The domain as `host` shall run it: the host's own cephx user, and VNC on the host's own address."""
    volumes = queries.volumes(vm)
    made: Value = vm  # of columns of text, which hold what the API's models let in
    disks, nics = _in_boot_order(ctx, vm, volumes, host)
    nvram = next((_attachment(ctx, volume, host) for volume in volumes if volume.role == "nvram"), None)
    return DomainSpec(
        vm_id=vm.id,
        name=vm.name,
        owner=vm.created_by,
        epoch=vm.epoch,
        job_id=job_id,
        virt_type=cast(VirtType, vm.virt_type),
        machine=cast(str, vm.machine),
        cpu=CpuSpec(model=ctx.settings.guest_cpu_model or None, vcpus=vm.vcpus, max_vcpus=vm.max_vcpus),
        memory_mib=vm.memory_mib,
        max_memory_mib=vm.max_memory_mib,
        disks=disks,
        nics=nics,
        vnc_address=host.address,
        firmware=made.firmware,
        nvram=nvram,
        clock=made.clock,
        video=made.video,
    )


def disk_spec(ctx: Context, volume: Value, host: Host) -> DiskSpec:
    """Return a Volume as a disk of a domain on `host`; a seed as a CD-ROM that holds it."""
    source = _attachment(ctx, volume, host)
    if volume.role == "seed":
        # Always on scsi: cloud kernels have no AHCI driver.
        return DiskSpec(volume.target, source, device="cdrom", bus="scsi", read_only=True)
    serial = volume.serial or volume.id.replace("-", "")[:20]
    return DiskSpec(volume.target, source, bus=volume.bus, serial=serial)


def drive_spec(ctx: Context, drive: Value, host: Host) -> DiskSpec:
    """Return a Drive of a domain on `host`, with the medium in it."""
    source = None if drive.volume is None else _attachment(ctx, drive.volume, host)
    return DiskSpec(drive.target, source, device="cdrom", bus=drive.bus, read_only=True)


def _attachment(ctx: Context, volume: Value, host: Host) -> Attachment:
    return ctx.storage.attachment(volume_rows.ref(volume), HostRef(host.name, host.ceph_user))


def _in_boot_order(
    ctx: Context, vm: Vm, volumes: list[Volume], host: Host
) -> tuple[tuple[DiskSpec, ...], tuple[NicSpec, ...]]:
    """The VM's boot kinds as numbers on its devices: the root disk, every drive, every card."""
    numbers = count(1)
    order: dict[str, int] = {}
    drives, nics = queries.drives(vm), queries.nics(vm)
    for kind in vm.boot:
        if kind == "disk":
            order |= {volume.id: next(numbers) for volume in volumes if volume.role == "root"}
        elif kind == "cdrom":
            order |= {drive.id: next(numbers) for drive in drives}
        else:
            order |= {nic.id: next(numbers) for nic in nics}
    disks = [(volume.id, disk_spec(ctx, volume, host)) for volume in volumes if volume.role not in NO_DISKS]
    disks += [(drive.id, drive_spec(ctx, drive, host)) for drive in drives]
    return (
        tuple(replace(spec, boot_order=order.get(row_id)) for row_id, spec in disks),
        tuple(replace(_nic_spec(nic), boot_order=order.get(nic.id)) for nic in nics),
    )


def _nic_spec(nic: Value) -> NicSpec:
    return NicSpec(mac=nic.mac, bridge=nic.network.bridge, model=nic.model)
