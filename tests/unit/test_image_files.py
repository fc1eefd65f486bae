"""What the image builders put together in memory: archive, boot record, cache."""

import struct
from pathlib import Path

import pytest

from lab.images import cpio, disk
from lab.images.build_mini import DATA_OFFSET, IMAGE_BYTES, _in_order
from lab.images.cache import built, fingerprint
from lab.images.errors import ImageError
from lab.images.packages import Package, kernel_of


def names(archive: bytes) -> list[str]:
    found, at = [], 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        size, length = fields[6], fields[11]
        found.append(archive[at + 110 : at + 109 + length].decode())
        at += -(-(110 + length) // 4) * 4 + -(-size // 4) * 4
        if found[-1] == "TRAILER!!!":
            assert at == len(archive)
            return found


def test_an_archive_names_every_folder_before_what_it_holds():
    archive = cpio.archive(
        (cpio.file("usr/bin/tool", b"12345"), cpio.link("bin", "usr/bin"), cpio.folder("tmp", 0o1777))
    )
    assert names(archive) == ["bin", "tmp", "usr", "usr/bin", "usr/bin/tool", "TRAILER!!!"]


def test_an_archive_is_the_same_each_time():
    entries = (cpio.file("b", b"x", 0o4755), cpio.character_device("dev/console", 5, 1))
    assert cpio.archive(entries) == cpio.archive(entries[::-1])


def test_a_boot_area_ends_its_first_sector_with_table_and_mark(tmp_path, monkeypatch):
    (tmp_path / "boot.img").write_bytes(b"c" * 512)
    monkeypatch.setattr(disk, "GRUB_FOLDER", tmp_path)
    area = disk.boot_area(b"core", [disk.Partition(disk.MIB, 3 * disk.MIB, 0x83, active=True)], signature=7)
    assert area[512:] == b"core"
    assert (area[446], area[450]) == (0x80, 0x83)
    assert struct.unpack("<II", area[454:462]) == (2048, 6144)
    assert area[510:512] == b"\x55\xaa"


def test_a_core_that_would_run_into_the_first_partition_is_refused(tmp_path, monkeypatch):
    (tmp_path / "boot.img").write_bytes(bytes(512))
    monkeypatch.setattr(disk, "GRUB_FOLDER", tmp_path)
    with pytest.raises(ImageError, match="does not fit"):
        disk.boot_area(bytes(disk.MIB), [], signature=7)


def test_the_small_image_stays_within_64_mib_and_on_whole_rbd_objects():
    assert IMAGE_BYTES <= 64 * disk.MIB
    assert DATA_OFFSET % (4 * disk.MIB) == 0


def test_modules_come_after_what_they_need(tmp_path):
    needs = {"a": "b,c", "b": "c", "c": ""}
    files = {}
    for name, after in needs.items():
        files[name] = tmp_path / f"{name}.ko"
        files[name].write_bytes(f"license=GPL\0depends={after}\0name={name}\0".encode())
    assert _in_order(["a", "b"], files) == ["c", "b", "a"]


def test_the_kernel_is_what_the_meta_package_depends_on():
    meta = Package("linux-image-cloud-amd64", "1", "0", "linux-image-6.1.0-1-cloud-amd64 (= 1), other")
    assert kernel_of(meta) == "linux-image-6.1.0-1-cloud-amd64"


class Builder:
    """Counts its builds; fails when told to."""

    def __init__(self) -> None:
        self.builds, self.broken = 0, False

    def __call__(self, result: Path, scratch: Path) -> None:
        result.write_text("half")
        if self.broken:
            raise ImageError("no network")
        self.builds += 1
        result.write_text(f"build {self.builds}")


def test_a_file_is_made_again_only_when_its_inputs_change(tmp_path):
    make, target = Builder(), tmp_path / "x.raw"
    for stamp in ("one", "one", "two"):
        built(target, stamp, make)
    assert target.read_text() == "build 2"
    built(target, "two", make, force=True)
    assert make.builds == 3


def test_a_failed_build_leaves_the_old_file_and_no_scratch(tmp_path):
    make, target = Builder(), tmp_path / "x.raw"
    built(target, "one", make)
    make.broken = True
    with pytest.raises(ImageError):
        built(target, "two", make)
    assert target.read_text() == "build 1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.raw", "x.raw.lock", "x.raw.stamp"]


def test_what_a_killed_build_left_is_dropped_by_the_next(tmp_path):
    (tmp_path / ".x.raw.dead").mkdir()
    built(tmp_path / "x.raw", "one", Builder())
    assert not (tmp_path / ".x.raw.dead").exists()


def test_a_fingerprint_sees_words_and_contents(tmp_path):
    file = tmp_path / "f"
    file.write_text("a")
    first = fingerprint(["w"], [file])
    assert first == fingerprint(["w"], [file])
    file.write_text("b")
    assert first != fingerprint(["w"], [file])
    assert fingerprint(["w"], []) != fingerprint(["v"], [])
