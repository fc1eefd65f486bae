from __future__ import annotations

from dataclasses import replace

from lxml import etree

from service.hypervisor import schema
from service.hypervisor.migration.target_xml import graft
from service.hypervisor.render import METADATA_NAMESPACE, render
from service.hypervisor.spec import NicSpec
from storage.refs import Attachment, Rbd
from tests.domain_cases import ORDINARY, rbd

NS = {"n": METADATA_NAMESPACE}


def there(source: Attachment | None) -> Rbd:
    """The same image as host2 opens it."""
    assert isinstance(source, Rbd)
    return replace(source, user="host-host2", secret_uuid="00000000-0000-4000-8000-00000000000b")


THERE = replace(
    ORDINARY,
    epoch=4,
    vnc_address="10.80.0.12",
    disks=tuple(replace(disk, source=there(disk.source)) for disk in ORDINARY.disks),
    nics=(replace(ORDINARY.nics[0], bridge="br-other"),),
)


def live(*, extra_disk: bool = False) -> str:
    """The source's XML as libvirt fills it in: an address on every device, a spelled-out CPU, an index in a source."""
    root = schema.parse(render(ORDINARY))
    for number, device in enumerate(root.findall("devices/disk") + root.findall("devices/interface"), start=1):
        etree.SubElement(device, "address", type="pci", bus=f"{number:#04x}", slot="0x00", function="0x0")
    for source in root.findall("devices/disk/source"):
        source.set("index", "1")
    cpu = root.find("cpu")
    assert cpu is not None
    etree.SubElement(cpu, "feature", policy="require", name="aes")
    if extra_disk:
        devices = root.find("devices")
        assert devices is not None
        disk = etree.SubElement(devices, "disk", type="network", device="disk")
        etree.SubElement(disk, "source", protocol="rbd", name="vms/plugged-in-later")
        etree.SubElement(disk, "target", dev="vdz", bus="virtio")
    return etree.tostring(root, encoding="unicode")


def merged(live_xml: str) -> etree._Element:
    return schema.parse(graft(live_xml, render(THERE)))


def test_the_console_listens_on_the_target() -> None:
    assert [listen.get("address") for listen in merged(live()).findall("devices/graphics/listen")] == ["10.80.0.12"]


def test_the_console_is_locked_again_after_a_move() -> None:
    assert [console.get("passwd") for console in merged(live()).findall("devices/graphics")] == [""]


def test_every_disk_reaches_ceph_as_the_target_host() -> None:
    root = merged(live())
    assert {auth.get("username") for auth in root.iter("auth")} == {"host-host2"}
    assert {secret.get("uuid") for secret in root.iter("secret")} == {"00000000-0000-4000-8000-00000000000b"}


def test_a_disk_keeps_its_image_and_its_place_on_the_bus() -> None:
    disk = merged(live()).find("devices/disk")
    assert disk is not None
    source, address = disk.find("source"), disk.find("address")
    assert source is not None
    assert (source.get("name"), source.get("index")) == ("vms/vm-5f0c-0", "1")
    assert address is not None
    assert address.get("bus") == "0x01"


def test_a_card_is_on_the_target_bridge_under_its_old_address() -> None:
    card = merged(live()).find("devices/interface")
    assert card is not None
    source, address = card.find("source"), card.find("address")
    assert source is not None
    assert source.get("bridge") == "br-other"
    assert address is not None


def test_a_card_the_spec_does_not_know_keeps_its_bridge() -> None:
    other = replace(THERE, nics=(NicSpec(mac="52:54:00:00:00:99", bridge="br-other"),))
    card = schema.parse(graft(live(), render(other))).find("devices/interface/source")
    assert card is not None
    assert card.get("bridge") == "br-guest"


def test_a_disk_plugged_in_later_reaches_ceph_as_the_target_host_too() -> None:
    disk = merged(live(extra_disk=True)).find("devices/disk/target[@dev='vdz']/..")
    assert disk is not None
    assert [auth.get("username") for auth in disk.iter("auth")] == ["host-host2"]


def test_the_variables_of_uefi_reach_ceph_as_the_target_host() -> None:
    spec = replace(ORDINARY, firmware="uefi", nvram=rbd("vms", "nvram"))
    root = schema.parse(graft(render(spec), render(THERE)))
    assert [auth.get("username") for auth in root.iterfind("os/nvram/source/auth")] == ["host-host2"]


def test_the_spelled_out_cpu_is_kept() -> None:
    assert merged(live()).find("cpu/feature") is not None


def test_the_metadata_is_the_new_epoch() -> None:
    assert merged(live()).findtext("metadata/n:domain/n:epoch", namespaces=NS) == "4"
