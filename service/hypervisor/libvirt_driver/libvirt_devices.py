"""Live changes of running domains by libvirt; a transient domain has no others."""

from __future__ import annotations

import re
import time

import libvirt
from lxml import etree

from service.hypervisor import schema
from service.hypervisor.errors import (
    DetachRefusedError,
    DomainNotFoundError,
    DomainRefusedError,
    HotAddRefusedError,
)
from service.hypervisor.libvirt_driver.libvirt_part import LibvirtPart, find_disk, live_tree, run_qmp
from service.hypervisor.render import render_dimm, render_disk
from service.hypervisor.spec import MEMORY_STEP_MIB, DiskSpec
from service.hypervisor.spec_check import check_text

DETACH_S = 30.0  # a busy guest under emulation answers within seconds; one that has no driver never does
ASK_AGAIN_S = 3.0  # a guest that is still booting ignores the first request
LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
# If the guest's firmware resets the drive, the tray closes without an event: libvirt still has it as open.
TRAY_SHUT, TRAY_TRIES = re.compile(r"Tray of (the )?device .*is not open"), 10
_NEVER = (libvirt.VIR_ERR_OPERATION_UNSUPPORTED, libvirt.VIR_ERR_CONFIG_UNSUPPORTED)


class LibvirtDevices(LibvirtPart):
    """Changes of disks, media, vCPUs, memory and name of running domains."""

    def attach_disk(self, vm_id: str, disk: DiskSpec) -> None:
        xml = render_disk(disk)

        def attach(domain: libvirt.virDomain) -> None:
            if _holds(domain, disk.target, xml):
                return
            try:
                domain.attachDeviceFlags(xml, LIVE)
            except libvirt.libvirtError:
                if not _holds(domain, disk.target, xml):  # another call of the same step may have won
                    raise

        self._with_domain(vm_id, attach)

    def detach_disk(self, vm_id: str, target: str) -> None:
        deadline, complaint = time.monotonic() + DETACH_S, ""
        with self.watch(vm_id) as watch:
            while self._has_disk(vm_id, target):
                if time.monotonic() > deadline:
                    raise DetachRefusedError(
                        f"the guest of domain {vm_id} has not released {target} in {DETACH_S:g} s: "
                        f"unmount it there and retry{complaint}"
                    )
                complaint = self._request_detach(vm_id, target)
                watch.next(ASK_AGAIN_S)

    def grow_disk(self, vm_id: str, target: str, size_bytes: int) -> None:
        def grow(domain: libvirt.virDomain) -> None:
            now_bytes = domain.blockInfo(target)[0]
            if size_bytes < now_bytes:
                raise DomainRefusedError(
                    f"disk {target} of domain {vm_id} has {now_bytes} bytes: it cannot shrink to {size_bytes}"
                )
            domain.blockResize(target, size_bytes, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)

        self._with_domain(vm_id, grow)

    def change_medium(self, vm_id: str, disk: DiskSpec) -> None:
        xml = render_disk(disk)
        for _ in range(TRAY_TRIES):
            try:
                return self._with_domain(vm_id, lambda domain: _change(domain, xml))
            except DomainRefusedError as error:
                if not TRAY_SHUT.search(error.detail):
                    raise
            self._with_domain(vm_id, lambda domain: _open_tray(domain, disk.target))
        raise DomainRefusedError(f"the guest of domain {vm_id} closes the tray of {disk.target} each time: retry")

    def set_vcpus(self, vm_id: str, vcpus: int) -> None:
        def add(domain: libvirt.virDomain) -> None:
            present = domain.info()[3]
            if vcpus < present:
                raise DomainRefusedError("a vCPU cannot be removed from a running guest")
            if vcpus > present:
                domain.setVcpusFlags(vcpus, LIVE)

        try:
            self._with_domain(vm_id, add)
        except DomainRefusedError as error:
            raise HotAddRefusedError(f"domain {vm_id} cannot have {vcpus} vCPUs now: {error.detail}") from error

    def set_memory(self, vm_id: str, memory_mib: int) -> None:
        def add(domain: libvirt.virDomain) -> None:
            more = memory_mib - domain.info()[1] // 1024
            if more:
                _check_growth(domain, memory_mib, more)
                domain.attachDeviceFlags(render_dimm(more), LIVE)

        try:
            self._with_domain(vm_id, add)
        except DomainRefusedError as error:
            raise HotAddRefusedError(f"domain {vm_id} cannot have {memory_mib} MiB now: {error.detail}") from error

    def set_title(self, vm_id: str, name: str) -> None:
        check_text("name", name)
        title = libvirt.VIR_DOMAIN_METADATA_TITLE
        self._with_domain(vm_id, lambda domain: domain.setMetadata(title, name or None, None, None, LIVE))

    def _has_disk(self, vm_id: str, target: str) -> bool:
        try:
            return self._with_domain(vm_id, lambda domain: find_disk(domain, target) is not None)
        except DomainNotFoundError:
            return False

    def _request_detach(self, vm_id: str, target: str) -> str:
        """Request the detach from the guest; return libvirt's text if it cannot now.

        Raises DomainRefusedError when this disk can never be detached.
        """

        def ask(domain: libvirt.virDomain) -> str:
            disk = find_disk(domain, target)
            try:
                if disk is not None:
                    domain.detachDeviceAlias(_alias(disk), LIVE)
            except libvirt.libvirtError as error:
                if error.get_error_code() in _NEVER:
                    raise
                return f" ({error})"
            return ""

        try:
            return self._with_domain(vm_id, ask)
        except DomainNotFoundError:
            return ""


def _change(domain: libvirt.virDomain, xml: str) -> None:
    domain.updateDeviceFlags(xml, LIVE | libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE)


def _open_tray(domain: libvirt.virDomain, target: str) -> None:
    drive = find_disk(domain, target)
    if drive is not None:
        run_qmp(domain, "blockdev-open-tray", {"id": _alias(drive), "force": True})


def _holds(domain: libvirt.virDomain, target: str, xml: str) -> bool:
    """Return True if the disk at `target` has the source of the rendered disk `xml`; libvirt adds attributes to it."""
    there = find_disk(domain, target)
    source, wanted = None if there is None else there.find("source"), schema.parse(xml).find("source")
    return source is not None and wanted is not None and set(wanted.items()) <= set(source.items())


def _alias(disk: etree._Element) -> str:
    found = disk.find("alias")
    return "" if found is None else found.get("name", "")


def _check_growth(domain: libvirt.virDomain, memory_mib: int, more_mib: int) -> None:
    ceiling_kib = int(live_tree(domain).findtext("maxMemory") or 0)
    if more_mib < 0:
        raise DomainRefusedError("memory cannot be removed from a running guest")
    if memory_mib > ceiling_kib // 1024:
        raise DomainRefusedError(f"it was started with at most {ceiling_kib // 1024} MiB")
    if more_mib % MEMORY_STEP_MIB:
        raise DomainRefusedError(f"memory is added in steps of {MEMORY_STEP_MIB} MiB, {more_mib} MiB are none")
