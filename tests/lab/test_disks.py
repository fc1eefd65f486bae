"""Disks, drives and sizes as the guest sees them, on real hosts and Ceph."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lab.service import client_environment
from service.cli.client import Json
from tests.lab.agreement import assert_agree, assert_nothing_left
from tests.lab.cloud import FLAVOR, Cloud
from tests.lab.iso import BOOTED, bootable, holding
from tests.lab.patience import eventually
from tests.lab.whole_lab import IMAGE

GIB = 1 << 30
MARK = "0123456789abcdef"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def isos(house: Cloud, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Names of uploaded ISO images."""
    folder = tmp_path_factory.mktemp("iso")
    files = {"boot": bootable(folder), "first": holding(folder, "first"), "second": holding(folder, "second")}
    return {name: _upload_iso(house, file) for name, file in files.items()}


@pytest.fixture(scope="module")
def other(house: Cloud) -> str:
    """A plain VM that boots beside the one below."""
    return house.create()


@pytest.fixture(scope="module")
def vm(house: Cloud, other: str) -> str:
    """A VM with two disks beside its root, an empty drive that its kernel has a driver for, and room to grow."""
    flavor = house.adopt("flavors", f"{house.new_name()}-f")
    size = ["--vcpus", "1", "--memory-mib", "256", "--disk-gib", "1", "--max-vcpus", "2", "--max-memory-mib", "512"]
    house.told("flavor", "create", flavor, *size)
    name = house.new_name()
    disks = [{"size_gib": 1}, {"size_gib": 1, "name": f"{name}-named"}]
    body = {"name": name, "image": IMAGE, "flavor": flavor, "disks": disks, "ssh_keys": [_public_key(house)]}
    job = house.ended(house.client.post("/v1/vms", body | {"cdroms": [{"bus": "scsi"}]}))
    assert job["state"] == "succeeded", job
    return name


def _public_key(house: Cloud) -> str:
    return Path(client_environment(house.lab.spec)["NACRE_SSH_KEY"] + ".pub").read_text().strip()


def _upload_iso(house: Cloud, file: Path) -> str:
    name = house.adopt("images", house.new_name())
    house.told("image", "upload", name, str(file), "--format", "iso", "--wait")
    return name


def size_inside(house: Cloud, name: str, disk: str) -> int | None:
    """Bytes of a block device as the guest's kernel has it; None when it has none."""
    said = house.inside(name, f"cat /sys/class/block/{disk}/size 2>/dev/null || echo none")
    return None if said == "none" else int(said) * 512


def read(house: Cloud, name: str, disk: str) -> str:
    """What begins a disk."""
    return house.inside(name, f"sudo dd if=/dev/{disk} bs=16 count=1 2>/dev/null")


def write(house: Cloud, name: str, disk: str, text: str) -> None:
    """Write to the beginning of a disk, down to its end of the wire."""
    house.inside(name, f"printf {text} | sudo dd of=/dev/{disk} conv=notrunc 2>/dev/null; sync")


def test_the_disks_asked_for_at_create_are_there_inside(house: Cloud, vm: str) -> None:
    assert [size_inside(house, vm, disk) for disk in ("vda", "vdb", "vdc")] == [GIB] * 3
    assert_agree(house)


def test_a_disk_comes_grows_moves_and_goes_while_the_guest_runs(house: Cloud, vm: str, other: str) -> None:
    house.adopt("volumes", "t-roving")
    house.told("vm", "attach", vm, "--disk", "size=1,name=t-roving", "--wait")
    assert size_inside(house, vm, "vdd") == GIB
    write(house, vm, "vdd", MARK)
    house.told("vm", "grow", vm, "vdd", "2", "--wait")
    house.told("vm", "grow", vm, "vda", "2", "--wait")
    assert (size_inside(house, vm, "vdd"), size_inside(house, vm, "vda")) == (2 * GIB, 2 * GIB)
    boot, home = house.boot_id(vm), house.vm(vm)["host"]
    house.told("vm", "migrate", vm, "--wait")
    assert (house.vm(vm)["host"] != home, house.boot_id(vm), read(house, vm, "vdd")) == (True, boot, MARK)
    house.told("vm", "detach", vm, "t-roving", "--wait")
    assert size_inside(house, vm, "vdd") is None
    assert_agree(house)
    house.told("vm", "attach", other, "--volume", "t-roving", "--wait")
    assert read(house, other, "vdb") == MARK
    house.told("vm", "detach", other, "vdb", "--delete", "--yes", "--wait")
    assert_agree(house)


def test_an_iso_is_inserted_changed_and_ejected_under_the_running_guest(
    house: Cloud, vm: str, isos: dict[str, str]
) -> None:
    for word in ("first", "second"):
        house.told("vm", "insert", vm, isos[word], "--wait")
        assert _word_on_disc(house, vm) == word
    house.told("vm", "migrate", vm, "--wait")
    assert _word_on_disc(house, vm) == "second"
    house.told("vm", "eject", vm, "--wait")
    assert house.vm(vm)["cdroms"][0]["image"] is None
    assert_agree(house)


def _word_on_disc(house: Cloud, vm: str) -> str:
    """The word in the drive that is not the seed's."""
    look = "sudo mount -o ro $d /mnt && cat /mnt/word.txt; sudo umount /mnt"
    look = f"for d in /dev/sr*; do ({look}) 2>/dev/null; done; true"
    return eventually(f"a word on the disc of {vm}", lambda: house.inside(vm, look))


def test_a_running_vm_grows_to_its_new_flavor_and_moves_with_it(house: Cloud, vm: str) -> None:
    flavor = house.adopt("flavors", f"{house.new_name()}-g")
    size = ["--vcpus", "2", "--memory-mib", "384", "--disk-gib", "1", "--max-vcpus", "2", "--max-memory-mib", "512"]
    house.told("flavor", "create", flavor, *size)
    boot, before = house.boot_id(vm), _memory_kib(house, vm)
    job = house.told("vm", "resize", vm, "--flavor", flavor, "--wait")
    assert job["result"]["pending"] is None
    eventually("the new vCPU is on line", lambda: house.inside(vm, "nproc") == "2")
    assert 100 << 10 < _memory_kib(house, vm) - before <= 128 << 10
    house.told("vm", "migrate", vm, "--wait")
    assert (house.inside(vm, "nproc"), house.boot_id(vm)) == ("2", boot)
    assert_agree(house)


def _memory_kib(house: Cloud, vm: str) -> int:
    return int(house.inside(vm, "awk '/^MemTotal/ { print $2 }' /proc/meminfo"))


def test_what_cannot_be_while_it_runs_is_so_after_the_next_start(house: Cloud, vm: str) -> None:
    job = house.told("vm", "resize", vm, "--flavor", FLAVOR, "--wait")
    assert job["result"]["reasons"]
    house.told("vm", "force-off", vm, "--wait")
    house.told("vm", "start", vm, "--wait")
    shown = house.vm(vm)
    assert (shown["pending"], house.inside(vm, "nproc")) == (None, str(shown["vcpus"]))
    assert_agree(house)


def test_a_screenshot_is_a_png_of_the_screen(house: Cloud, vm: str, tmp_path: Path) -> None:
    picture = tmp_path / "screen.png"
    assert house.nacre("vm", "screenshot", vm, "-o", str(picture)).returncode == 0
    content = picture.read_bytes()
    assert content.startswith(PNG)
    assert struct.unpack(">II", content[16:24]) >= (320, 200)


def test_a_paused_guest_stands_still_and_goes_on(house: Cloud, other: str) -> None:
    house.wait_stamp(other)
    house.told("vm", "pause", other, "--wait")
    last = house.stamps(other)[-1].seq
    assert house.vm(other)["observed_state"] == "paused"
    house.told("vm", "resume", other, "--wait")
    house.wait_stamp(other, last)
    assert_agree(house)


@pytest.mark.parametrize(
    "hardware",
    [[], ["--chipset", "pc", "--bus", "ide", "--nic-model", "e1000", "--video", "cirrus", "--clock", "localtime"]],
    ids=["today's", "old"],
)
def test_a_vm_boots_from_an_iso_onto_a_blank_disk(house: Cloud, isos: dict[str, str], hardware: list[str]) -> None:
    name = house.new_name()
    house.told("vm", "create", name, "--flavor", FLAVOR, "--iso", isos["boot"], *hardware, "--no-cloud-init", "--wait")
    vm = house.vm(name)
    eventually(f"{name} boots from its drive", lambda: BOOTED in _serial(house, vm))
    house.told("vm", "delete", name, "--yes", "--wait")
    assert_nothing_left(house, vm)


def _serial(house: Cloud, vm: Json) -> str:
    log = f"/var/log/libvirt/qemu/vm-{vm['id']}.serial.log"
    return house.lab.machine(vm["host"]).run(["cat", log])


def test_a_vm_with_uefi_starts_and_moves(house: Cloud, isos: dict[str, str]) -> None:
    name = house.new_name()
    options = ["--firmware", "uefi", "--iso", isos["first"], "--no-cloud-init"]
    house.told("vm", "create", name, "--flavor", FLAVOR, *options, "--wait")
    vm = house.vm(name)
    eventually(f"{name}'s firmware looks for something to boot", lambda: "Boot" in _serial(house, vm))
    house.told("vm", "migrate", name, "--wait")
    house.told("vm", "delete", name, "--yes", "--wait")
    assert_nothing_left(house, vm)


def test_a_vm_without_a_seed_is_one_device(house: Cloud) -> None:
    name = house.new_name()
    house.told("vm", "create", name, "--image", IMAGE, "--flavor", FLAVOR, "--no-cloud-init", "--wait")
    vm = house.vm(name)
    mine = [ref for ref in house.lab.storage.volumes("vms") if vm["id"] in ref.name]
    assert [volume["role"] for volume in vm["volumes"]] == ["root"]
    assert len(mine) == 1


def test_a_batch_is_there_as_a_whole(house: Cloud) -> None:
    name = house.new_name()
    names = [house.adopt("vms", f"{name}-{number}") for number in (1, 2, 3)]
    house.told("vm", "create", name, "--image", IMAGE, "--flavor", FLAVOR, "--count", "3", "--wait")
    assert {house.vm(each)["observed_state"] for each in names} == {"running"}
    assert_agree(house)
