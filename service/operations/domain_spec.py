"""A VM's rows as a DomainSpec for one host: rendered afresh at every start and every move."""

from __future__ import annotations

from typing import cast

from service.context import Context
from service.db import queries
from service.db.tables import Host, Vm, Volume
from service.hypervisor.contract import HostEndpoint
from service.hypervisor.spec import CephAccess, CpuSpec, DiskSpec, DomainSpec, NicSpec, VirtType


def endpoint(host: Host) -> HostEndpoint:
    """Where a host's hypervisor is reached."""
    return HostEndpoint(name=host.name, address=host.address)


def domain_spec(ctx: Context, vm: Vm, host: Host, job_id: str) -> DomainSpec:
    """The domain as `host` shall run it: the host's own cephx user, and VNC on the host's own address."""
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
        ceph=CephAccess(user=host.ceph_user, secret_uuid=ctx.settings.ceph_secret_uuid),
        disks=tuple(_disk(volume) for volume in queries.volumes(vm)),
        nics=tuple(NicSpec(mac=nic.mac, bridge=nic.network.bridge) for nic in queries.nics(vm)),
        vnc_address=host.address,
    )


def _disk(volume: Volume) -> DiskSpec:
    if volume.role == "seed":
        return DiskSpec(
            target=volume.target,
            pool=volume.pool,
            rbd_name=volume.rbd_name,
            device="cdrom",
            bus="scsi",  # cloud kernels have no AHCI driver
            read_only=True,
        )
    return DiskSpec(
        target=volume.target,
        pool=volume.pool,
        rbd_name=volume.rbd_name,
        boot_order=1 if volume.role == "root" else None,
        serial=volume.id.replace("-", "")[:20],
    )
