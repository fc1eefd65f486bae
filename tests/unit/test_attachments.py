"""How hosts open volumes: each storage says it in its own kind, and nothing but one macro knows the kinds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

import pytest

from service.hypervisor import render as render_module
from service.hypervisor import schema
from service.hypervisor.migration.target_xml import graft
from service.hypervisor.render import render, render_disk, render_preflight
from service.hypervisor.spec import DiskSpec
from storage.ceph.backend import CephStorage
from storage.memory import MemoryStorage
from storage.refs import Attachment, Block, File, HostRef, Rbd, VolumeRef
from tests.domain_cases import ORDINARY, rbd

VOLUME, HOST = VolumeRef("vms", "vm-1-0"), HostRef("host1", user="host-host1")
SOURCES: tuple[Attachment, ...] = (rbd("vms", "vm-1-0"), File("/srv/a & b/vm-1-0"), Block("/dev/vms/vm-1-0"))


def test_ceph_attaches_an_rbd_image_as_the_hosts_own_user() -> None:
    storage = CephStorage("/etc/ceph/ceph.conf", "/keyring", "client.nacre", secret_uuid="s")
    assert storage.attachment(VOLUME, HOST) == Rbd("vms", "vm-1-0", user="host-host1", secret_uuid="s")


def test_the_memory_twin_attaches_a_file_or_what_a_test_wants() -> None:
    assert MemoryStorage().attachment(VOLUME, HOST) == File("/memory/vms/vm-1-0")
    storage = MemoryStorage(attach=lambda volume, host: Block(f"/dev/{host.name}/{volume.name}"))
    assert storage.attachment(VOLUME, HOST) == Block("/dev/host1/vm-1-0")


def test_every_kind_has_a_macro_of_its_name() -> None:
    macros = render_module._environment().get_template("source.xml.j2").module
    kinds = [each.kind for each in get_args(Attachment)]
    assert len(set(kinds)) == len(kinds) == 3
    assert [kind for kind in kinds if not hasattr(macros, kind)] == []


def test_a_domain_on_files_and_block_devices_is_what_libvirts_schema_allows() -> None:
    disks = (
        DiskSpec("vda", File("/srv/vms/root.raw"), boot_order=1),
        DiskSpec("vdb", Block("/dev/vms/data"), serial="data"),
        DiskSpec("sda", File("/srv/vms/seed.iso"), device="cdrom", bus="scsi", read_only=True),
    )
    root = schema.parse(render(replace(ORDINARY, disks=disks, firmware="uefi", nvram=File("/srv/vms/nvram"))))
    found = [(disk.get("type"), *(disk.find("source").attrib.items())) for disk in root.findall("devices/disk")]
    assert found == [
        ("file", ("file", "/srv/vms/root.raw")),
        ("block", ("dev", "/dev/vms/data")),
        ("file", ("file", "/srv/vms/seed.iso")),
    ]
    assert [(nvram.get("type"), nvram.find("source").get("file")) for nvram in root.findall("os/nvram")] == [
        ("file", "/srv/vms/nvram")
    ]
    assert not list(root.iter("auth"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.kind)
def test_a_disk_and_a_check_of_the_host_take_every_kind(source: Attachment) -> None:
    disk = schema.parse(render_disk(DiskSpec("vdb", source)))
    assert disk.get("type") == source.disk_type
    xml = render_preflight(uuid=ORDINARY.vm_id, name="n", machine="pc-q35-7.2", bridge=None, source=source)
    assert schema.parse(xml).find("devices/disk").get("type") == source.disk_type


def test_a_kind_without_a_macro_is_refused() -> None:
    @dataclass(frozen=True)
    class Tape:
        kind = "tape"
        disk_type = "tape"

    with pytest.raises(Exception, match="tape"):
        render_disk(DiskSpec("vdb", Tape()))  # type: ignore[arg-type]


def test_a_move_leaves_files_and_block_devices_as_they_are() -> None:
    spec = replace(ORDINARY, disks=(DiskSpec("vda", File("/a")), DiskSpec("vdb", Block("/b"))))
    sources = [
        source.attrib for source in schema.parse(graft(render(spec), render(spec))).iterfind("devices/disk/source")
    ]
    assert sources == [{"file": "/a"}, {"dev": "/b"}]


def test_a_move_takes_the_identity_of_the_same_image() -> None:
    """Of two clusters, each image is opened with the key of its own."""
    other = replace(rbd("vms", "b"), secret_uuid="00000000-0000-4000-8000-00000000000b")
    spec = replace(ORDINARY, disks=(DiskSpec("vda", rbd("vms", "a")), DiskSpec("vdb", other)))
    swapped = replace(spec, disks=tuple(reversed(spec.disks)))
    secrets = schema.parse(graft(render(spec), render(swapped))).iterfind("devices/disk/source/auth/secret")
    assert [secret.get("uuid") for secret in secrets] == [rbd("vms", "a").secret_uuid, other.secret_uuid]
