"""Images that nobody should open, whatever they were declared to be."""

import hashlib
import random
import struct
import subprocess

import pytest

from service import sandbox
from service.operations.images import unpack
from tests.api.image_files import PACKERS, assert_refused, iso, packed, packed_as_qcow2
from tests.api.world import BOOT, MIB, expect


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("-b", "base.raw", "-F", "raw"), "image.backing_file"),
        (("-o", "data_file=outside.raw"), "image.data_file"),
        (("-o", "data_file=outside.raw,data_file_raw=on"), "image.data_file"),
    ],
    ids=["backing file", "data file", "raw data file"],
)
def test_a_qcow2_that_leans_on_another_file_is_refused(cloud, qcow2, options, code):
    assert_refused(cloud, code, qcow2(*options), format="qcow2")


@pytest.mark.parametrize("compression", PACKERS)
def test_a_packed_qcow2_that_leans_on_another_file_is_refused_too(cloud, qcow2, compression):
    data = packed(qcow2("-b", "base.raw", "-F", "raw"), compression)
    assert_refused(cloud, "image.backing_file", data, format="qcow2", compression=compression)


VMDK = b'# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
VMDK += b'RW 4192256 FLAT "/etc/shadow" 0\n'
LIES = {
    "a qcow2 as raw": ("qcow2", "raw"),
    "a qcow2 as iso": ("qcow2", "iso"),
    "raw as qcow2": ("boot", "qcow2"),
    "raw as iso": ("boot", "iso"),
    "an iso as qcow2": ("iso", "qcow2"),
    "a flat VMDK as raw": ("vmdk", "raw"),
    "a flat VMDK as qcow2": ("vmdk", "qcow2"),
    "a VDI as raw": ("vdi", "raw"),
    "a VHDX as raw": ("vhdx", "raw"),
    "gz as raw": ("gz", "raw"),
    "xz as raw": ("xz", "raw"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_is_not_what_it_is_declared_is_refused(cloud, qcow2, tmp_path, lie):
    what, declared = LIES[lie]
    made = {"boot": BOOT, "iso": iso(), "vmdk": VMDK.ljust(4096, b"\n"), "qcow2": qcow2()}
    if what in ("vdi", "vhdx"):
        subprocess.run(["qemu-img", "create", "-q", "-f", what, "made", "8M"], check=True, cwd=tmp_path)
        made[what] = (tmp_path / "made").read_bytes()
    if what in PACKERS:
        made[what] = packed(BOOT, what)
    assert_refused(cloud, "image.wrong_format", made[what], format=declared)


@pytest.mark.parametrize("declared", [*PACKERS, "none"])
def test_a_file_in_another_packing_than_declared_is_refused(cloud, declared):
    really = "xz" if declared == "gz" else "gz"
    assert_refused(cloud, "image.wrong_format", packed(BOOT, really), format="raw", compression=declared)


def test_a_packing_inside_a_packing_is_refused(cloud):
    data = packed(packed(BOOT, "xz"), "gz")
    assert_refused(cloud, "image.wrong_format", data, format="qcow2", compression="gz")


@pytest.mark.parametrize("compression", PACKERS)
def test_a_packed_file_that_was_cut_short_is_refused(cloud, compression):
    data = packed(random.Random(1).randbytes(300_000), compression)[:-100]
    assert_refused(cloud, "image.damaged", data, format="raw", compression=compression)


@pytest.mark.parametrize("length", [512, 70_000, 2_000_000])
def test_a_qcow2_that_was_cut_short_before_it_was_sent_is_refused_and_not_filled_with_zeros(cloud, tmp_path, length):
    data = packed_as_qcow2(tmp_path, random.Random(1).randbytes(3_000_000))[:length]
    assert_refused(cloud, "image.damaged", data, format="qcow2")


def test_a_bomb_is_refused_before_it_is_unpacked(cloud):
    data = packed(bytes(160 * MIB), "bz2")
    assert len(data) < 160 * MIB / 10**6
    assert_refused(cloud, "image.bomb", data, format="raw", compression="bz2")


def test_a_qcow2_of_100_tib_is_refused_by_its_header(cloud, qcow2):
    assert_refused(cloud, "image.too_large", qcow2(size="100T"), format="qcow2")


def patched(data: bytes, offset: int, layout: str, *values: int) -> bytes:
    """A qcow2 with other numbers in its header."""
    end = offset + struct.calcsize(layout)
    return data[:offset] + struct.pack(layout, *values) + data[end:]


# Offsets of the header's fields: docs/interop/qcow2.txt of QEMU.
FORGED = {
    "another version": ((4, ">I", 1), "image.unsafe"),
    "clusters of 2 GiB": ((20, ">I", 31), "image.damaged"),
    "a size near 2^64": ((24, ">Q", 2**64 - 512), "image.too_large"),
    "no size": ((24, ">Q", 0), "image.too_large"),
    "encrypted": ((32, ">I", 1), "image.damaged"),
    "an L1 table of 32 GiB": ((36, ">I", 2**32 - 1), "image.damaged"),
    "an L1 table past the end": ((40, ">Q", 1 << 55), "image.damaged"),
    "a huge refcount table": ((56, ">I", 2**32 - 1), "image.damaged"),
    "a million snapshots": ((60, ">I", 10**6), "image.damaged"),
    "features nobody knows": ((72, ">Q", 1 << 60), "image.unsafe"),
    "a header of 4 GiB": ((100, ">I", 2**32 - 8), "image.damaged"),
}


@pytest.mark.parametrize("trick", FORGED)
def test_a_forged_qcow2_is_refused(cloud, qcow2, trick):
    (offset, layout, value), code = FORGED[trick]
    assert_refused(cloud, code, patched(qcow2(), offset, layout, value), format="qcow2")


def test_a_qcow2_whose_clusters_all_are_the_same_one_is_refused(cloud, tmp_path):
    data = bytearray(packed_as_qcow2(tmp_path, random.Random(1).randbytes(64 << 10) + bytes(1 << 20)))
    (table,) = struct.unpack_from(">Q", data, 40)
    (second,) = struct.unpack_from(">Q", data, table)
    second &= (1 << 56) - 512
    first_cluster = data[second : second + 8]
    data[second : second + 8 * 16] = first_cluster * 16
    assert_refused(cloud, "image.damaged", bytes(data), format="qcow2")


def test_an_image_larger_than_allowed_is_refused_by_its_bytes_and_by_its_header(cloud_with, qcow2):
    cloud = cloud_with(max_image_bytes=2 * MIB)
    expect(cloud.upload(bytes(3 * MIB), name="bad", format="raw"), 422, "image.too_large")
    assert_refused(cloud, "image.too_large", qcow2(size="3M"), format="qcow2")
    assert_refused(cloud, "image.too_large", packed(bytes(3 * MIB), "gz"), format="raw", compression="gz")


def test_a_wrong_digest_is_refused_with_the_right_one(cloud):
    told = assert_refused(cloud, "image.wrong_digest", BOOT, format="raw", sha256="0" * 64)
    assert hashlib.sha256(BOOT).hexdigest() in told["detail"]
    cloud.done(cloud.upload(BOOT, name="good", format="raw", sha256=hashlib.sha256(BOOT).hexdigest()))


def test_an_image_that_takes_too_long_to_unpack_is_given_up(cloud, monkeypatch):
    monkeypatch.setitem(unpack.DECOMPRESSORS, "gz", ("/usr/bin/sleep", "600"))
    accepted = cloud.upload(packed(BOOT, "gz"), name="bad", format="raw", compression="gz")

    def later(self) -> float:
        self.elapsed_s += 700  # each look at the clock
        return self.elapsed_s

    monkeypatch.setattr(type(cloud.clock), "monotonic", later)
    assert cloud.ended(accepted)["error"]["code"] == "image.too_slow"
    expect(cloud.api.get("/v1/images/bad"), 404, "image.not_found")
    cloud.assert_clean()


def test_without_a_sandbox_nothing_is_unpacked(cloud, monkeypatch, qcow2):
    data = qcow2()
    monkeypatch.setattr(sandbox, "SYSTEM", ("--ro-bind", "/nowhere", "/usr"))
    assert_refused(cloud, "image.no_sandbox", data, format="qcow2")
