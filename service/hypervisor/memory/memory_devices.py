"""Changes of running domains in RAM, and the base of the twin's parts."""

from __future__ import annotations

from dataclasses import replace

from service.hypervisor.errors import (
    DetachRefusedError,
    DomainNotFoundError,
    DomainRefusedError,
    HostUnreachableError,
    HotAddRefusedError,
)
from service.hypervisor.memory.memory_cloud import Hardware, MemoryCloud, MemoryHost
from service.hypervisor.render import render_disk
from service.hypervisor.spec import HOT_PLUG_BUSES, MEMORY_STEP_MIB, DiskSpec
from service.hypervisor.spec_check import check_text
from service.hypervisor.values import HostEndpoint


class MemoryPart:
    """Base class of one host of a MemoryCloud."""

    def __init__(self, cloud: MemoryCloud, endpoint: HostEndpoint) -> None:
        self._cloud = cloud
        self._endpoint = endpoint

    def _host(self) -> MemoryHost:
        """Return the host as it is now; every call begins with it."""
        host = self._cloud.at(self._endpoint)
        if not host.reachable:
            self._cloud.pass_time(host.silence_s)
            raise HostUnreachableError(f"libvirt on host {self._endpoint.name} did not answer")
        self._cloud.pass_time(host.answer_s)
        return host

    def _hardware(self, vm_id: str) -> Hardware:
        host = self._host()
        if vm_id not in host.domains:
            raise DomainNotFoundError(f"host {host.name} has no domain {vm_id}")
        return host.hardware[vm_id]


class MemoryDevices(MemoryPart):
    """Changes of disks, media, vCPUs, memory and name of running domains."""

    def attach_disk(self, vm_id: str, disk: DiskSpec) -> None:
        render_disk(disk)  # what cannot be written as XML is refused here too
        with self._cloud.lock:
            disks = self._hardware(vm_id).disks
            there = disks.get(disk.target)
            if there is not None and there.source == disk.source:
                return
            if there is not None or disk.bus not in HOT_PLUG_BUSES:
                raise DomainRefusedError(f"domain {vm_id} takes no {disk.bus} disk at {disk.target} now")
            disks[disk.target] = disk

    def detach_disk(self, vm_id: str, target: str) -> None:
        host = self._host()
        with self._cloud.lock:
            hardware = host.hardware.get(vm_id)
            if vm_id not in host.domains or hardware is None or target not in hardware.disks:
                return
            if host.guests_keep_disks:
                raise DetachRefusedError(f"the guest of domain {vm_id} does not release {target}: unmount it there")
            del hardware.disks[target]

    def grow_disk(self, vm_id: str, target: str, size_bytes: int) -> None:
        with self._cloud.lock:
            hardware = self._hardware(vm_id)
            if target not in hardware.disks:
                raise DomainRefusedError(f"domain {vm_id} has no disk {target}")
            if size_bytes < hardware.sizes_bytes.get(target, 0):
                raise DomainRefusedError(f"disk {target} of domain {vm_id} is larger than {size_bytes} bytes already")
            hardware.sizes_bytes[target] = size_bytes

    def change_medium(self, vm_id: str, disk: DiskSpec) -> None:
        render_disk(disk)
        with self._cloud.lock:
            disks = self._hardware(vm_id).disks
            drive = disks.get(disk.target)
            if drive is None or drive.device != "cdrom":
                raise DomainRefusedError(f"domain {vm_id} has no CD-ROM drive {disk.target}")
            disks[disk.target] = replace(drive, source=disk.source)

    def set_vcpus(self, vm_id: str, vcpus: int) -> None:
        with self._cloud.lock:
            ceiling, domains = self._hardware(vm_id).spec.cpu.max_vcpus, self._host().domains
            present = domains[vm_id].vcpus
            if vcpus != present and (self._host().guests_keep_size or not present < vcpus <= ceiling):
                raise HotAddRefusedError(f"domain {vm_id} has {present} of at most {ceiling} vCPUs, not {vcpus} now")
            domains[vm_id] = replace(domains[vm_id], vcpus=vcpus)

    def set_memory(self, vm_id: str, memory_mib: int) -> None:
        with self._cloud.lock:
            ceiling, domains = self._hardware(vm_id).spec.max_memory_mib, self._host().domains
            more = memory_mib - domains[vm_id].memory_mib
            if more and (self._host().guests_keep_size or memory_mib > ceiling or more < 0 or more % MEMORY_STEP_MIB):
                raise HotAddRefusedError(
                    f"domain {vm_id} takes more memory up to {ceiling} MiB in steps of {MEMORY_STEP_MIB} MiB, "
                    f"not {memory_mib} MiB in all: that is for the next start"
                )
            domains[vm_id] = replace(domains[vm_id], memory_mib=memory_mib)

    def set_title(self, vm_id: str, name: str) -> None:
        check_text("name", name)
        with self._cloud.lock:
            self._hardware(vm_id)
            domains = self._host().domains
            domains[vm_id] = replace(domains[vm_id], name=name)
