"""What anybody would write with the bindings alone: a clone and a domain, no service. The peer of create.py."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import libvirt
import rados
import rbd

from lab.health import client_arguments
from lab.spec import LabSpec
from storage.ceph.devices import FEATURES
from storage.refs import ImageRef

CLIENT = "client.nacre"


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A domain's XML on one host as the service renders it. `vm_id` and `mac` stand for what differs per VM."""

    host: str
    address: str
    xml: str
    vm_id: str
    mac: str

    def for_vm(self, vm_id: str) -> str:
        """The same domain under another id, with a card of its own."""
        mac = "52:54:00:" + ":".join(vm_id.replace("-", "")[at : at + 2] for at in (0, 2, 4))
        return self.xml.replace(self.vm_id, vm_id).replace(self.mac, mac)


@dataclass(frozen=True, slots=True)
class BareVm:
    """A domain and its only volume."""

    host: str
    vm_id: str
    volume_name: str


class BareCloud:
    """librbd and libvirt, used directly. Connections are open before anything is measured."""

    def __init__(self, lab: LabSpec, image: ImageRef, pool: str, blueprints: Mapping[str, Blueprint]) -> None:
        self._lab, self._image, self._pool, self._blueprints = lab, image, pool, blueprints
        control = lab.folder / "control"
        keyring = str(control / "ceph.client.nacre.keyring")
        self._rados = rados.Rados(conffile=str(control / "ceph.conf"), name=CLIENT, conf={"keyring": keyring})
        self._rados.connect()
        self._images, self._volumes = self._rados.open_ioctx(image.pool), self._rados.open_ioctx(pool)
        self._mine = threading.local()
        libvirt.registerErrorHandler(lambda *_: None, None)

    @property
    def hosts(self) -> list[str]:
        """Names of all hosts."""
        return sorted(self._blueprints)

    def uri(self, host: str) -> str:
        """Where a host's libvirt answers."""
        return f"qemu+tls://{self._blueprints[host].address}/system?pkipath={self._lab.folder / 'control/pki'}"

    def connect(self) -> None:
        """Open the calling thread's connections to all hosts."""
        for host in self.hosts:
            self._connection(host)

    def make(self, host: str, *, paused: bool = False) -> BareVm:
        """Clone the image and start the domain."""
        vm = self._new(host)
        self._clone(vm)
        flags = libvirt.VIR_DOMAIN_START_VALIDATE | (libvirt.VIR_DOMAIN_START_PAUSED if paused else 0)
        self._connection(host).createXML(self._blueprints[host].for_vm(vm.vm_id), flags)
        return vm

    def make_by_commands(self, host: str) -> BareVm:
        """The same with `rbd clone` and `virsh create`."""
        vm = self._new(host)
        source = f"{self._image.pool}/{self._image.name}@{self._image.snapshot}"
        clone = ["rbd", *client_arguments(self._lab), "clone", source, f"{self._pool}/{vm.volume_name}"]
        subprocess.run(clone, check=True, capture_output=True)
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write(self._blueprints[host].for_vm(vm.vm_id))
            file.flush()
            create = ["virsh", "-c", self.uri(host), "create", "--validate", str(Path(file.name))]
            subprocess.run(create, check=True, capture_output=True)
        return vm

    def remove(self, vm: BareVm) -> None:
        """End the domain and remove its volume."""
        self._connection(vm.host).lookupByUUIDString(vm.vm_id).destroy()
        rbd.RBD().remove(self._volumes, vm.volume_name)

    def volumes_of(self, vm_id: str) -> list[tuple[str, str | None, int]]:
        """(name, parent image, snapshots) of every volume that a VM has in the pool."""
        found = []
        for name in rbd.RBD().list(self._volumes):
            if vm_id in name:
                with rbd.Image(self._volumes, name, read_only=True) as device:
                    found.append((name, self._parent(device), len(list(device.list_snaps()))))
        return found

    def _new(self, host: str) -> BareVm:
        vm_id = str(uuid.uuid4())
        return BareVm(host, vm_id, f"vm-{vm_id}-0")

    def _clone(self, vm: BareVm) -> None:
        source = (self._images, self._image.name, self._image.snapshot)
        rbd.RBD().clone(*source, self._volumes, vm.volume_name, features=FEATURES)

    def _parent(self, device: rbd.Image) -> str | None:
        try:
            return str(device.parent_info()[1])
        except rbd.ImageNotFound:
            return None

    def _connection(self, host: str) -> libvirt.virConnect:
        mine: dict[str, libvirt.virConnect] = self._mine.__dict__.setdefault("connections", {})
        if host not in mine:
            mine[host] = libvirt.open(self.uri(host))
        return mine[host]
