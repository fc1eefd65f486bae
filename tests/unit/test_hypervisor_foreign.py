"""A domain that somebody else made, read from its XML."""

import pytest

from service.hypervisor.errors import SpecInvalidError
from service.hypervisor.foreign import ForeignDisk, ForeignNic, read
from storage.refs import VolumeRef

XML = """
<domain type='kvm' id='7'>
  <name>web</name>
  <uuid>6a2c1f7e-52a5-4a57-9a63-0f6a2a7d1b11</uuid>
  <memory unit='KiB'>2097152</memory>
  <currentMemory unit='KiB'>2097152</currentMemory>
  <vcpu placement='static' current='2'>4</vcpu>
  <os {os}><type arch='x86_64' machine='pc-q35-8.2'>hvm</type>{in_os}</os>
  <clock offset='localtime'/>
  <devices>
    <disk type='network' device='disk'>
      <source protocol='rbd' name='vms/web-root'><host name='10.0.0.1' port='6789'/></source>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
    <interface type='bridge'>
      <mac address='52:54:00:aa:bb:cc'/><source bridge='br0'/><model type='virtio'/>
    </interface>
    {devices}
  </devices>
</domain>
"""


def domain(devices="", os="", in_os=""):
    return read(XML.format(devices=devices, os=os, in_os=in_os))


def test_a_domain_on_rbd_is_read_whole():
    found = domain()
    assert (found.name, found.virt_type, found.machine, found.clock) == ("web", "kvm", "pc-q35-8.2", "localtime")
    assert (found.vcpus, found.max_vcpus, found.memory_mib, found.max_memory_mib) == (2, 4, 2048, 2048)
    assert found.disks == (
        ForeignDisk("vda", "virtio", "disk", VolumeRef("vms", "web-root")),
        ForeignDisk("sda", "sata", "cdrom", None),
    )
    assert found.nics == (ForeignNic("52:54:00:aa:bb:cc", "br0", "virtio"),)
    assert found.hindrances == ()


RBD = "<disk type='network' device='{device}'><source protocol='rbd' name='{name}'>{more}</source>{target}</disk>"
TARGET = "<target dev='vdb' bus='virtio'/>"


@pytest.mark.parametrize(
    ("devices", "why"),
    [
        ("<disk type='file'><source file='/a.qcow2'/><target dev='vdb' bus='virtio'/></disk>", "vdb is not an image"),
        ("<disk type='block'><source dev='/dev/sda'/><target dev='vdb' bus='virtio'/></disk>", "vdb is not an image"),
        (RBD.format(device="disk", name="noslash", more="", target=TARGET), "vdb is not an image"),
        (RBD.format(device="disk", name="vms/a@snap", more="", target=TARGET), "vdb is not an image"),
        (RBD.format(device="disk", name="vms/a", more="<snapshot name='s'/>", target=TARGET), "a snapshot"),
        (RBD.format(device="lun", name="vms/a", more="", target=TARGET), "lun vdb"),
        (RBD.format(device="disk", name="vms/a", more="", target="<target dev='x' bus='usb'/>"), "bus usb"),
        ("<interface type='network'><mac address='m'/><source network='n'/></interface>", "on no bridge"),
        ("<interface type='bridge'><mac address='m'/><source bridge='b'/><model type='ne2k'/></interface>", "ne2k"),
        ("<hostdev mode='subsystem' type='pci'/>", "hostdev"),
        ("<tpm model='tpm-crb'/>", "tpm"),
        ("<filesystem type='mount'/>", "filesystem"),
    ],
)
def test_what_ties_a_domain_to_its_host_is_told(devices, why):
    (hindrance,) = domain(devices).hindrances
    assert why in hindrance


@pytest.mark.parametrize(
    ("os", "in_os", "why"),
    [("firmware='efi'", "", "UEFI"), ("", "<loader>/x.fd</loader>", "UEFI"), ("", "<kernel>/k</kernel>", "kernel")],
)
def test_firmware_and_kernels_that_lie_on_the_host_are_told(os, in_os, why):
    (hindrance,) = domain(os=os, in_os=in_os).hindrances
    assert why in hindrance


def test_arguments_straight_to_qemu_and_other_types_are_told():
    xml = XML.format(devices="", os="", in_os="").replace("type='kvm'", "type='xen'", 1)
    xml = xml.replace("</domain>", "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'/></domain>")
    assert len(read(xml).hindrances) == 2


def test_what_is_no_xml_is_refused():
    with pytest.raises(SpecInvalidError):
        read("<domain>")
