"""What every hypervisor promises about changes of a running domain, on every implementation that is on offer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.hypervisor.contract import Hypervisor
from service.hypervisor.errors import (
    DetachRefusedError,
    DomainNotFoundError,
    DomainRefusedError,
    HotAddRefusedError,
    SpecInvalidError,
)
from service.hypervisor.spec import DiskSpec, DomainSpec, NicSpec, machine_of
from storage.refs import File
from tests.contract.hypervisor_worlds import WORLDS_WITH_ALL, WORLDS_WITH_DISKS, World, at

UNKNOWN = "ffffffff-0000-4000-8000-000000000000"
GREW_TO = 32 << 20
on_worlds_with_disks = pytest.mark.parametrize(
    "world", WORLDS_WITH_DISKS, indirect=True, ids=lambda make: make.__name__
)
EMPTY = DiskSpec(target="sda", source=None, device="cdrom", bus="scsi")


@pytest.fixture
def with_drive(world: World, here: Hypervisor) -> DomainSpec:
    """A VM with an empty drive, and with nothing to boot."""
    spec = replace(world.spec(), disks=(EMPTY,))
    here.start(spec)
    return spec


def sizes(hypervisor: Hypervisor, vm_id: str) -> dict[str, int]:
    """The size of every disk and medium by target, as the domain sees it."""
    found = next(domain for domain in hypervisor.statistics() if domain.vm_id == vm_id)
    return {disk.target: disk.capacity_bytes for disk in found.disks}


@on_worlds_with_disks
@pytest.mark.parametrize("bus", ["virtio", "scsi"])
def test_an_attached_disk_is_there_once(world: World, here: Hypervisor, with_drive: DomainSpec, bus: str) -> None:
    disk = world.disk("vdb", bus=bus)
    for _ in range(2):
        here.attach_disk(with_drive.vm_id, disk)
    assert set(sizes(here, with_drive.vm_id)) == {"sda", "vdb"}


@on_worlds_with_disks
def test_another_disk_at_a_taken_target_is_refused(world: World, here: Hypervisor, with_drive: DomainSpec) -> None:
    here.attach_disk(with_drive.vm_id, world.disk("vdb"))
    with pytest.raises(DomainRefusedError):
        here.attach_disk(with_drive.vm_id, world.disk("vdb"))


@on_worlds_with_disks
def test_a_running_domain_takes_no_sata_disk(world: World, here: Hypervisor, with_drive: DomainSpec) -> None:
    with pytest.raises(DomainRefusedError):
        here.attach_disk(with_drive.vm_id, world.disk("sdb", bus="sata"))
    assert set(sizes(here, with_drive.vm_id)) == {"sda"}


@on_worlds_with_disks
def test_a_disk_that_cannot_be_written_as_xml_is_refused(here: Hypervisor, with_drive: DomainSpec) -> None:
    with pytest.raises(SpecInvalidError):
        here.attach_disk(with_drive.vm_id, DiskSpec("vdb", File("/two\nlines")))


@on_worlds_with_disks
def test_a_detached_disk_is_gone_and_may_be_detached_again(
    world: World, here: Hypervisor, with_drive: DomainSpec
) -> None:
    here.attach_disk(with_drive.vm_id, world.disk("sdb", bus="scsi"))
    for _ in range(2):
        here.detach_disk(with_drive.vm_id, "sdb")
    assert set(sizes(here, with_drive.vm_id)) == {"sda"}
    here.detach_disk(UNKNOWN, "sdb")


@on_worlds_with_disks
def test_a_guest_that_keeps_its_disk_is_told_of(world: World, here: Hypervisor, with_drive: DomainSpec) -> None:
    here.attach_disk(with_drive.vm_id, world.disk("vdb"))
    world.stubborn_guests()
    with pytest.raises(DetachRefusedError, match="vdb"):
        here.detach_disk(with_drive.vm_id, "vdb")
    assert "vdb" in sizes(here, with_drive.vm_id)


@on_worlds_with_disks
def test_a_grown_disk_shows_its_size(world: World, here: Hypervisor, with_drive: DomainSpec) -> None:
    here.attach_disk(with_drive.vm_id, world.disk("vdb"))
    for _ in range(2):
        here.grow_disk(with_drive.vm_id, "vdb", GREW_TO)
    assert sizes(here, with_drive.vm_id)["vdb"] == GREW_TO


@on_worlds_with_disks
def test_a_disk_does_not_shrink(world: World, here: Hypervisor, with_drive: DomainSpec) -> None:
    here.attach_disk(with_drive.vm_id, world.disk("vdb"))
    here.grow_disk(with_drive.vm_id, "vdb", GREW_TO)
    with pytest.raises(DomainRefusedError):
        here.grow_disk(with_drive.vm_id, "vdb", GREW_TO - (1 << 20))
    assert sizes(here, with_drive.vm_id)["vdb"] == GREW_TO


@on_worlds_with_disks
def test_a_medium_is_inserted_changed_and_ejected(world: World, here: Hypervisor, with_drive: DomainSpec) -> None:
    for _ in range(2):
        here.change_medium(with_drive.vm_id, world.disk("sda", bus="scsi", device="cdrom"))
        assert sizes(here, with_drive.vm_id)["sda"] > 0
    for _ in range(2):
        here.change_medium(with_drive.vm_id, EMPTY)
    assert sizes(here, with_drive.vm_id)["sda"] == 0


@on_worlds_with_disks
def test_a_medium_needs_a_drive(world: World, here: Hypervisor, with_drive: DomainSpec) -> None:
    with pytest.raises(DomainRefusedError):
        here.change_medium(with_drive.vm_id, world.disk("sdz", bus="scsi", device="cdrom"))


@on_worlds_with_disks
def test_processors_are_added_up_to_the_ceiling_and_never_taken_out(here: Hypervisor, with_drive: DomainSpec) -> None:
    for _ in range(2):
        here.set_vcpus(with_drive.vm_id, 2)
    for refused in (1, 3):
        with pytest.raises(HotAddRefusedError):
            here.set_vcpus(with_drive.vm_id, refused)
    state = here.domain(with_drive.vm_id)
    assert state is not None
    assert state.vcpus == 2


@on_worlds_with_disks
def test_memory_is_added_in_whole_steps_up_to_the_ceiling(here: Hypervisor, with_drive: DomainSpec) -> None:
    for _ in range(2):
        here.set_memory(with_drive.vm_id, 384)
    for refused in (256, 400, 1024):
        with pytest.raises(HotAddRefusedError):
            here.set_memory(with_drive.vm_id, refused)
    state = here.domain(with_drive.vm_id)
    assert state is not None
    assert state.memory_mib == 384


@on_worlds_with_disks
def test_a_renamed_domain_tells_its_new_name(here: Hypervisor, with_drive: DomainSpec) -> None:
    here.set_title(with_drive.vm_id, "new <name> \u05d0")
    state = here.domain(with_drive.vm_id)
    assert state is not None
    assert state.name == "new <name> \u05d0"
    with pytest.raises(SpecInvalidError):
        here.set_title(with_drive.vm_id, "two\nlines")


@on_worlds_with_disks
def test_a_change_of_what_is_not_there_is_told(here: Hypervisor, with_drive: DomainSpec) -> None:
    disk = DiskSpec("sda", File("/x"), bus="scsi")
    calls = (
        lambda: here.attach_disk(UNKNOWN, disk),
        lambda: here.grow_disk(UNKNOWN, "vda", GREW_TO),
        lambda: here.change_medium(UNKNOWN, EMPTY),
        lambda: here.set_vcpus(UNKNOWN, 1),
        lambda: here.set_memory(UNKNOWN, 256),
        lambda: here.set_title(UNKNOWN, "x"),
    )
    for call in calls:
        with pytest.raises(DomainNotFoundError):
            call()


@on_worlds_with_disks
def test_an_old_system_gets_its_old_devices(world: World, here: Hypervisor) -> None:
    spec = replace(
        world.spec(),
        machine=machine_of("pc", here.facts().machine),
        clock="localtime",
        video="cirrus",
        disks=(
            world.disk("hda", bus="ide", boot_order=2),
            DiskSpec(target="hdc", source=None, device="cdrom", bus="ide", boot_order=1),
        ),
    )
    here.start(spec)
    here.change_medium(spec.vm_id, world.disk("hdc", bus="ide", device="cdrom"))
    assert set(sizes(here, spec.vm_id)) == {"hda", "hdc"}


@on_worlds_with_disks
def test_a_domain_with_uefi_moves_with_its_variables(world: World, here: Hypervisor, there: Hypervisor) -> None:
    spec = world.uefi(world.spec())
    here.start(spec)
    here.migrate(world.there, at(spec, world.there), progress=lambda _progress: None)
    assert there.domain(spec.vm_id) is not None
    assert here.domain(spec.vm_id) is None


@pytest.mark.parametrize("make", WORLDS_WITH_ALL, ids=lambda make: make.__name__)
def test_what_was_plugged_in_moves_along_and_can_be_taken_out_there(make: type[World]) -> None:
    world = make()
    here, there = (world.hypervisors.on(endpoint) for endpoint in (world.here, world.there))
    spec = world.bootable(world.spec())
    spec = replace(spec, disks=(*spec.disks, EMPTY))
    try:
        here.start(spec)
        world.wait_booted(here, spec.vm_id)
        added, unlisted = world.disk("vdb"), world.disk("sdb", bus="scsi")
        medium = world.disk("sda", bus="scsi", device="cdrom")
        for disk in (added, unlisted):
            here.attach_disk(spec.vm_id, disk)
        here.change_medium(spec.vm_id, medium)
        here.set_vcpus(spec.vm_id, 2)
        here.set_memory(spec.vm_id, 512)

        grown = replace(spec.cpu, vcpus=2)
        wanted = replace(at(spec, world.there), cpu=grown, memory_mib=512, disks=(*spec.disks[:-1], medium, added))
        here.migrate(world.there, wanted, progress=lambda _progress: None)

        arrived = there.domain(spec.vm_id)
        assert arrived is not None
        assert (arrived.state, arrived.vcpus, arrived.memory_mib) == ("running", 2, 512)
        before = sizes(there, spec.vm_id)
        assert before["sda"] > 0
        for target in ("vdb", "sdb"):
            there.detach_disk(spec.vm_id, target)
        there.change_medium(spec.vm_id, EMPTY)
        after = sizes(there, spec.vm_id)
        assert set(before) - set(after) == {"vdb", "sdb"}
        assert after["sda"] == 0
    finally:
        world.close()


@on_worlds_with_disks
def test_a_card_may_be_of_an_old_model(world: World, here: Hypervisor) -> None:
    spec = replace(world.spec(), nics=())
    models = ("e1000", "e1000e", "rtl8139")
    cards = tuple(NicSpec(f"52:54:00:00:0c:{n:02x}", "br-guest", model) for n, model in enumerate(models))  # type: ignore[arg-type]
    here.start(replace(spec, nics=cards))
    found = next(domain for domain in here.statistics() if domain.vm_id == spec.vm_id)
    assert len(found.nics) == 3
