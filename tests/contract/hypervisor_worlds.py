"""The worlds that the hypervisor contract is proved in: memory always, real hosts where the environment names them.

NACRE_TEST_HOSTS        two or more hosts: "host1=10.83.0.11,host2=10.83.0.12"
NACRE_TEST_LIBVIRT_PKI  folder with the control plane's cacert.pem, clientcert.pem, clientkey.pem
NACRE_TEST_GUEST_DISK   optional: pool/name of an RBD image that boots and obeys the power button; nobody else uses it
NACRE_TEST_SECRET_UUID  with it: the libvirt secret of the hosts' cephx users (client.host-<name>)
NACRE_TEST_CEPH_*       as in storage_fixtures: block devices to plug in are made and removed with it
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from service.hypervisor.contract import HostEndpoint, Hypervisor, Hypervisors
from service.hypervisor.errors import ConsoleClosedError
from service.hypervisor.memory.memory import MemoryHypervisors
from service.hypervisor.memory.memory_cloud import MemoryCloud
from service.hypervisor.spec import NVRAM_BYTES, UEFI_VARIABLES, CpuSpec, DiskSpec, DomainSpec
from storage.refs import Attachment, File, Rbd, VolumeRef

HAS_HOSTS = "NACRE_TEST_HOSTS" in os.environ
HAS_GUEST = "NACRE_TEST_GUEST_DISK" in os.environ
HAS_DISKS = HAS_HOSTS and "NACRE_TEST_SECRET_UUID" in os.environ and "NACRE_TEST_CEPH_CONF" in os.environ
if HAS_HOSTS:
    from service.hypervisor.libvirt_driver import libvirt_devices
    from service.hypervisor.libvirt_driver.libvirt_hosts import LibvirtHypervisors
    from storage.ceph.backend import CephStorage

DISK_BYTES = 16 << 20
GUEST_UP = b"nacre-mini: up"
BOOT_S = 300
NO_SECRET = "00000000-0000-4000-8000-000000000000"


class World(Protocol):
    """Two hosts, one that is silent, and what the suite needs to move around them."""

    hypervisors: Hypervisors
    here: HostEndpoint
    there: HostEndpoint
    silent: HostEndpoint

    def spec(self) -> DomainSpec:
        """A new VM for `here`, without disks."""

    def bootable(self, spec: DomainSpec) -> DomainSpec:
        """The same VM with a guest that obeys the power button."""

    def refused(self, spec: DomainSpec) -> DomainSpec:
        """The same VM such that `here` will not start it."""

    def slow_migrations(self) -> None:
        """From now on a migration takes long enough to be met under way."""

    def stubborn_guests(self) -> None:
        """From now on a guest that does not let go of a disk is not waited for long; one without an OS never does."""

    def disk(self, target: str, **more: Any) -> DiskSpec:
        """A disk with a blank block device of its own."""

    def uefi(self, spec: DomainSpec) -> DomainSpec:
        """The same VM with UEFI."""

    def wait_booted(self, hypervisor: Hypervisor, vm_id: str) -> None:
        """Until the guest of a bootable VM hears what happens to its devices."""

    def close(self) -> None:
        """Leave nothing behind."""


def at(spec: DomainSpec, endpoint: HostEndpoint) -> DomainSpec:
    """The same VM as `endpoint` shall have it."""
    disks = tuple(replace(disk, source=_as_host(disk.source, endpoint)) for disk in spec.disks)
    return replace(spec, vnc_address=endpoint.address, disks=disks, nvram=_as_host(spec.nvram, endpoint))


def _as_host(source: Attachment | None, endpoint: HostEndpoint) -> Attachment | None:
    return replace(source, user=f"host-{endpoint.name}") if isinstance(source, Rbd) else source


@dataclass
class _Specs:
    """VMs made so far, so that they can be ended."""

    made: list[str] = field(default_factory=list)

    def make(self, endpoint: HostEndpoint) -> DomainSpec:
        spec = DomainSpec(
            vm_id=str(uuid.uuid4()),
            name="contract <b>&</b> ]]> \u05d0",
            owner="contract",
            epoch=1,
            job_id="job-1",
            virt_type="qemu",
            machine="pc-q35-7.2",
            cpu=CpuSpec(model=None, vcpus=1, max_vcpus=2),
            memory_mib=256,
            max_memory_mib=512,
            disks=(),
            nics=(),
            vnc_address=endpoint.address,
        )
        self.made.append(spec.vm_id)
        return spec


class RealClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.wait(timeout_s)


class MemoryWorld:
    here = HostEndpoint("host1", "10.0.0.1")
    there = HostEndpoint("host2", "10.0.0.2")
    silent = HostEndpoint("host3", "10.0.0.3")

    def __init__(self) -> None:
        self._cloud = MemoryCloud(RealClock())
        self._host, _, silent = (
            self._cloud.add_host(endpoint.name, endpoint.address) for endpoint in (self.here, self.there, self.silent)
        )
        silent.reachable = False
        self._specs = _Specs()
        self.hypervisors: Hypervisors = MemoryHypervisors(self._cloud)

    def spec(self) -> DomainSpec:
        return self._specs.make(self.here)

    def bootable(self, spec: DomainSpec) -> DomainSpec:
        return spec

    def refused(self, spec: DomainSpec) -> DomainSpec:
        self._host.refuses = "out of memory"
        return spec

    def slow_migrations(self) -> None:
        self._host.migration_s = 0.3

    def stubborn_guests(self) -> None:
        self._host.guests_keep_disks = True

    def disk(self, target: str, **more: Any) -> DiskSpec:
        return DiskSpec(target=target, source=File(f"/memory/blank-{uuid.uuid4()}"), **more)

    def uefi(self, spec: DomainSpec) -> DomainSpec:
        return replace(spec, firmware="uefi", nvram=File(f"/memory/nvram-{spec.vm_id}"))

    def wait_booted(self, hypervisor: Hypervisor, vm_id: str) -> None:
        """Guests in RAM are up at once."""

    def close(self) -> None:
        self.hypervisors.close()


class LibvirtWorld:
    silent = HostEndpoint("nobody", "127.0.0.77")  # nothing listens there

    def __init__(self) -> None:
        hosts = [HostEndpoint(*pair.split("=")) for pair in os.environ["NACRE_TEST_HOSTS"].split(",")]
        self.here, self.there = hosts[:2]
        self._specs = _Specs()
        self._volumes: list[VolumeRef] = []
        self._ceph: CephStorage | None = None
        self._patience_s = libvirt_devices.DETACH_S
        self.hypervisors: Hypervisors = LibvirtHypervisors(Path(os.environ["NACRE_TEST_LIBVIRT_PKI"]))

    def spec(self) -> DomainSpec:
        return self._specs.make(self.here)

    def bootable(self, spec: DomainSpec) -> DomainSpec:
        pool, _, name = os.environ["NACRE_TEST_GUEST_DISK"].partition("/")
        return replace(spec, disks=(DiskSpec(target="vda", source=self._rbd(pool, name), boot_order=1),))

    def refused(self, spec: DomainSpec) -> DomainSpec:
        source = replace(self._rbd("vms", "there-is-no-such-image"), secret_uuid=NO_SECRET)
        return replace(spec, disks=(DiskSpec(target="vda", source=source),))

    def slow_migrations(self) -> None:
        """A real one takes its time."""

    def stubborn_guests(self) -> None:
        self._patience_s, libvirt_devices.DETACH_S = libvirt_devices.DETACH_S, 2.0

    def disk(self, target: str, **more: Any) -> DiskSpec:
        volume = self._make(DISK_BYTES)
        return DiskSpec(target=target, source=self._rbd(volume.pool, volume.name), **more)

    def uefi(self, spec: DomainSpec) -> DomainSpec:
        volume = self._make(NVRAM_BYTES)
        self._storage().write(volume, Path(UEFI_VARIABLES).read_bytes())
        return replace(spec, firmware="uefi", nvram=self._rbd(volume.pool, volume.name))

    def wait_booted(self, hypervisor: Hypervisor, vm_id: str) -> None:
        heard, deadline = b"", time.monotonic() + BOOT_S
        console = hypervisor.open_console(vm_id)
        try:
            while GUEST_UP not in heard and time.monotonic() < deadline:
                heard += console.read(5)
        except ConsoleClosedError:
            raise AssertionError(f"the guest ended while it booted, last words {heard[-200:]!r}") from None
        finally:
            console.close()
        assert GUEST_UP in heard

    def _rbd(self, pool: str, name: str) -> Rbd:
        secret_uuid = os.environ.get("NACRE_TEST_SECRET_UUID", NO_SECRET)
        return Rbd(pool, name, user=f"host-{self.here.name}", secret_uuid=secret_uuid)

    def _make(self, size_bytes: int) -> VolumeRef:
        volume = VolumeRef("vms", f"contract-{uuid.uuid4()}")
        firmware = size_bytes == NVRAM_BYTES
        self._storage().create_volume(volume, size_bytes=size_bytes, job_id="contract", writeback=firmware)
        self._volumes.append(volume)
        return volume

    def _storage(self) -> CephStorage:
        if self._ceph is None:
            names = ("NACRE_TEST_CEPH_CONF", "NACRE_TEST_CEPH_KEYRING", "NACRE_TEST_CEPH_CLIENT")
            self._ceph = CephStorage(*(os.environ[name] for name in names))
        return self._ceph

    def close(self) -> None:
        libvirt_devices.DETACH_S = self._patience_s
        for endpoint in (self.here, self.there):
            for vm_id in self._specs.made:
                self.hypervisors.on(endpoint).force_off(vm_id)
        self.hypervisors.close()
        for volume in self._volumes:
            self._storage().remove_volume(volume)
        if self._ceph is not None:
            self._ceph.close()


# The twins are asked where there are no hosts: `tox -e unit` does, so the lab need not do it again.
WORLDS: list[Callable[[], World]] = [LibvirtWorld] if HAS_HOSTS else [MemoryWorld]
WORLDS_WITH_GUESTS: list[Callable[[], World]] = WORLDS if HAS_GUEST else [MemoryWorld]
WORLDS_WITH_DISKS: list[Callable[[], World]] = [LibvirtWorld] if HAS_DISKS else [MemoryWorld]
WORLDS_WITH_ALL: list[Callable[[], World]] = WORLDS_WITH_DISKS if HAS_GUEST else [MemoryWorld]
