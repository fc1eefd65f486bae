from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from service.hypervisor import render as render_module
from service.hypervisor import schema
from service.hypervisor.errors import SpecInvalidError
from service.hypervisor.render import METADATA_NAMESPACE, TCG_CPU_MODEL, render, render_probe
from service.hypervisor.spec import CpuSpec, DiskSpec
from tests.domain_cases import ORDINARY, SEED, rbd

NS = {"n": METADATA_NAMESPACE}
WRITABLE = st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff")
TEXT = st.text(WRITABLE, max_size=50)
HOSTILE = [
    "<b>bold</b>",
    "</title></domain>",
    "'single' and \"double\"",
    "]]>",
    "<![CDATA[x]]>",
    "&lt; &#60; &unknown;",
    "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;",
    "{{ 7 * 7 }}{% include 'disk.xml.j2' %}",
    "\u202eright to left\u202c \u05e9\u05dc\u05d5\u05dd",
    "🐚 ﷽ e\u0301",
    " leading and trailing ",
    "x" * 300,
    "../../etc/passwd",
    "",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_text(name: str) -> None:
    root = schema.parse(render(replace(ORDINARY, name=name)))
    assert (root.findtext("title") or "") == name
    assert root.findtext("name") == f"vm-{ORDINARY.vm_id}"


@given(
    name=st.text(WRITABLE, min_size=1, max_size=300),
    owner=st.text(WRITABLE, max_size=50),
    job=st.text(WRITABLE, max_size=50),
)
def test_any_text_xml_can_hold_round_trips(name: str, owner: str, job: str) -> None:
    plain = schema.parse(render(ORDINARY))
    root = schema.parse(render(replace(ORDINARY, name=name, owner=owner, job_id=job)))
    assert (root.findtext("title") or "") == name
    assert (root.findtext("metadata/n:domain/n:owner", namespaces=NS) or "") == owner
    assert (root.findtext("metadata/n:domain/n:job", namespaces=NS) or "") == job
    assert [element.tag for element in root.iter()] == [element.tag for element in plain.iter()]


@pytest.mark.parametrize("character", ["\x00", "\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\ud800", "\ufffe", "\uffff"])
def test_a_character_xml_cannot_hold_is_refused_with_its_place(character: str) -> None:
    with pytest.raises(SpecInvalidError, match=f"domain.name holds the character U\\+{ord(character):04X}"):
        render(replace(ORDINARY, name=f"a{character}b"))


def test_a_control_character_deep_in_the_spec_is_found() -> None:
    with pytest.raises(SpecInvalidError, match=r"domain\.disks\[1\]\.source\.name"):
        render(replace(ORDINARY, disks=(ORDINARY.disks[0], replace(SEED, source=rbd("vms", "a\nb")))))


@given(character=st.characters(categories=("Cc", "Cs")))
def test_no_control_character_reaches_a_host(character: str) -> None:
    assert unicodedata.category(character) in ("Cc", "Cs")
    with pytest.raises(SpecInvalidError):
        render(replace(ORDINARY, owner=character))


def test_a_value_that_is_text_everywhere_cannot_become_markup() -> None:
    wicked = "x'/><evil/>"
    disk = replace(ORDINARY.disks[0], source=replace(rbd(wicked, wicked), conf_path="/" + wicked), serial="s")
    root = schema.parse(render(replace(ORDINARY, disks=(disk,))))
    source = root.find("devices/disk/source")
    assert source is not None
    assert source.get("name") == f"{wicked}/{wicked}"
    assert root.find(".//evil") is None


def test_what_the_schema_forbids_is_refused() -> None:
    with pytest.raises(SpecInvalidError, match="schema"):
        render(replace(ORDINARY, nics=(replace(ORDINARY.nics[0], mac="not a mac"),)))


@pytest.mark.parametrize(
    "change",
    [
        {"cpu": CpuSpec(None, vcpus=0, max_vcpus=1)},
        {"cpu": CpuSpec(None, vcpus=3, max_vcpus=2)},
        {"memory_mib": 4096, "max_memory_mib": 2048},
        {"memory_mib": 0},
        {"disks": (DiskSpec(target="vda", source=None),)},
        {"disks": (DiskSpec(target="vda", source=None, device="cdrom"),)},
        {"disks": (DiskSpec(target="hda", source=rbd("vms", "x"), bus="ide"),)},
        {"disks": (ORDINARY.disks[0], replace(ORDINARY.disks[0], boot_order=None))},
        {"nics": (replace(ORDINARY.nics[0], boot_order=1),)},
        {"firmware": "uefi"},
        {"nvram": rbd("vms", "x")},
    ],
)
def test_numbers_and_disks_that_contradict_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(SpecInvalidError):
        render(replace(ORDINARY, **change))  # type: ignore[arg-type]


def test_the_console_is_locked_and_no_other_secret_is_in_the_xml() -> None:
    root = schema.parse(render(ORDINARY))
    graphics = root.find("devices/graphics")
    assert graphics is not None
    assert graphics.get("passwd") == ""
    assert [secret.text for secret in root.iter("secret")] == [None, None]  # named by UUID, never spelled out


def test_a_domain_names_no_monitor_address() -> None:
    assert schema.parse(render(ORDINARY)).find(".//source/host") is None


def test_the_host_cpu_is_for_kvm_only() -> None:
    kvm = schema.parse(render(replace(ORDINARY, virt_type="kvm"))).find("cpu")
    tcg = schema.parse(render(ORDINARY)).find("cpu")
    assert kvm is not None
    assert tcg is not None
    assert kvm.get("mode") == "host-model"
    assert tcg.findtext("model") == TCG_CPU_MODEL


def test_every_virtio_device_has_a_port_and_four_are_spare() -> None:
    root = schema.parse(render(ORDINARY))
    ports = root.findall("devices/controller[@model='pcie-root-port']")
    assert len(ports) == 4 + len(["vda", "virtio-scsi", "nic", "channel", "balloon", "rng"])


def test_a_template_that_uses_an_unknown_value_fails() -> None:
    template = render_module._environment().from_string("{{ nobody_gave_this }}")
    with pytest.raises(UndefinedError):
        template.render()


@pytest.mark.parametrize("virt_type", ["kvm", "qemu"])
def test_the_probe_boots_a_kernel_and_dies_when_it_powers_off(virt_type: str) -> None:
    xml = render_probe(
        virt_type,  # type: ignore[arg-type]
        uuid=ORDINARY.vm_id,
        name="nacre-probe-x",
        machine="pc-q35-7.2",
        folder="/probe",
    )
    root = schema.parse(xml)
    assert root.findtext("os/kernel") == "/probe/vmlinuz"
    assert root.findtext("on_poweroff") == "destroy"
    assert root.findtext("on_reboot") == "restart"  # a reset must not look like powering off
    assert root.find("devices/disk") is None


@pytest.mark.parametrize("text", ["<a>", "", "<a>&undefined;</a>"])
def test_text_that_is_not_xml_is_told_so(text: str) -> None:
    with pytest.raises(SpecInvalidError, match="does not parse"):
        schema.parse(text)


def test_an_entity_is_never_read_from_a_file() -> None:
    root = schema.parse("<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/hostname'>]><a>&e;</a>")
    assert "".join(map(str, root.itertext())) == "&e;"
