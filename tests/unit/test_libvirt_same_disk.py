"""An attach that is repeated: the disk at the target is compared by its source, whatever libvirt has added to it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from service.hypervisor import schema
from service.hypervisor.libvirt_driver.libvirt_devices import _holds
from service.hypervisor.render import render, render_disk
from service.hypervisor.spec import DiskSpec
from storage.refs import Attachment, Block, File
from tests.domain_cases import ORDINARY, rbd

SOURCES: tuple[Attachment, ...] = (rbd("vms", "a"), rbd("vms", "b"), File("/a"), File("/b"), Block("/a"))


class Domain:
    """A running domain with one disk, described as libvirt does."""

    def __init__(self, disk: DiskSpec) -> None:
        root = schema.parse(render(replace(ORDINARY, disks=(disk,))))
        for source in root.iterfind("devices/disk/source"):
            source.set("index", "3")
        self._xml = etree.tostring(root, encoding="unicode")

    def XMLDesc(self, flags: int) -> str:  # noqa: N802 - libvirt's name
        del flags
        return self._xml


@pytest.mark.parametrize("there", SOURCES, ids=str)
@pytest.mark.parametrize("wanted", SOURCES, ids=str)
def test_only_the_same_source_counts_as_attached(there: Attachment, wanted: Attachment) -> None:
    domain = Domain(DiskSpec("vdb", there))
    assert _holds(domain, "vdb", render_disk(DiskSpec("vdb", wanted))) == (there == wanted)


def test_another_target_or_an_empty_drive_does_not_count() -> None:
    domain = Domain(DiskSpec("sda", None, device="cdrom", bus="scsi"))
    assert not _holds(domain, "sda", render_disk(DiskSpec("sda", File("/a"), bus="scsi")))
    assert not _holds(domain, "sdb", render_disk(DiskSpec("sdb", File("/a"), bus="scsi")))
