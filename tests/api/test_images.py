"""Images: what an upload and a file on the server may be, what is refused, what is left behind."""

import hashlib
import io
import os
import random
import struct
import subprocess

import pycdlib
import pytest

from service import sandbox
from service.db import quotas
from service.db.database import transaction, unit_of_work
from service.db.tables import Image, Pool, Project
from service.operations.images import unpack
from storage.errors import FullError, UnreachableError
from tests.api.test_failures import fail_once
from tests.api.world import BOOT, MIB, expect


@pytest.fixture
def qcow2(tmp_path):
    """Makes a qcow2 file with the given options of qemu-img create; returns its bytes."""

    def make(*options: str, size: str = "1M") -> bytes:
        path = tmp_path / "made.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), size], check=True, cwd=tmp_path)
        return path.read_bytes()

    (tmp_path / "base.raw").write_bytes(bytes(MIB))
    return make


def refused(cloud, code: str, data: bytes, **said) -> dict:
    """The upload is taken, its job fails with this code, and nothing is left."""
    job = cloud.ended(cloud.upload(data, name="bad", **said))
    assert (job["state"], (job["error"] or {}).get("code")) == ("failed", code), job
    expect(cloud.api.get("/v1/images/bad"), 404, "image.not_found")
    cloud.assert_clean()
    return job["error"]


def test_a_raw_image_is_ready_with_its_digests_and_in_whole_sectors(cloud):
    data = b"x" * 5000
    cloud.image("odd", data)
    image = cloud.api.get("/v1/images/odd").json()
    assert (image["state"], image["kind"], image["size_bytes"]) == ("ready", "disk", 8192)
    assert image["sha256"] == hashlib.sha256(data).hexdigest()
    assert image["raw_sha256"] == hashlib.sha256(data + bytes(8192 - 5000)).hexdigest()
    cloud.assert_clean()


def test_images_are_listed_by_name_and_by_kind(cloud):
    cloud.image("another")
    cloud.done(cloud.upload(iso(), name="cd", format="iso"))
    assert [image["name"] for image in cloud.api.get("/v1/images").json()["items"]] == ["another", "cd", "mini"]
    found = cloud.api.get("/v1/images", params={"kind": "iso"}).json()["items"]
    assert [(image["name"], image["default_user"]) for image in found] == [("cd", None)]


def test_a_qcow2_is_unpacked(cloud, tmp_path):
    disk = random.Random(2).randbytes(300_000) + bytes(5 * MIB) + b"end"
    data = packed_as_qcow2(tmp_path, disk)
    job = cloud.done(cloud.upload(data, name="packed", format="qcow2"))
    phases = [phase["name"] for phase in job["phases"]]
    assert phases == ["verify", "inspect", "claim", "convert", "digest", "import", "clean", "record"]
    image = cloud.api.get("/v1/images/packed").json()
    size = -(-len(disk) // 4096) * 4096
    assert (image["format"], image["size_bytes"], image["sha256"]) == ("qcow2", size, hashlib.sha256(data).hexdigest())
    assert image["raw_sha256"] == hashlib.sha256(disk + bytes(size - len(disk))).hexdigest()
    cloud.make_vm(image="packed")
    cloud.assert_clean()


def packed_as_qcow2(folder, disk: bytes, *options: str) -> bytes:
    (folder / "whole.raw").write_bytes(disk)
    command = ["qemu-img", "convert", *options, "-f", "raw", "-O", "qcow2", "whole.raw", "whole.qcow2"]
    subprocess.run(command, check=True, cwd=folder)
    return (folder / "whole.qcow2").read_bytes()


PACKERS = {"gz": ["gzip", "-c"], "xz": ["xz", "-c"], "bz2": ["bzip2", "-c"], "zst": ["zstd", "-cq"]}


def packed(data: bytes, compression: str) -> bytes:
    return subprocess.run(PACKERS[compression], input=data, check=True, capture_output=True).stdout


@pytest.mark.parametrize("compression", PACKERS)
@pytest.mark.parametrize("format_", ["raw", "qcow2", "iso"])
def test_an_image_comes_in_any_packing_and_is_the_same(cloud, tmp_path, format_, compression):
    disk = random.Random(3).randbytes(200_000) + bytes(3 * MIB) + b"end" + bytes(4093)
    data = {"raw": disk, "qcow2": packed_as_qcow2(tmp_path, disk), "iso": iso()}[format_]
    sent = packed(data, compression)
    said = {"format": format_, "compression": compression, "sha256": hashlib.sha256(sent).hexdigest()}
    cloud.done(cloud.upload(sent, name="packed", **said))
    cloud.done(cloud.upload(data, name="plain", format=format_))
    one, other = (cloud.api.get(f"/v1/images/{name}").json() for name in ("packed", "plain"))
    assert (one["raw_sha256"], one["size_bytes"]) == (other["raw_sha256"], other["size_bytes"])
    assert (one["sha256"], one["compression"]) == (said["sha256"], compression)
    cloud.assert_clean()


def test_holes_of_an_image_are_not_stored(cloud):
    def stored() -> int:
        return next(pool.stored_bytes for pool in cloud.storage.pools() if pool.name == "images")

    before = stored()
    data = packed(BOOT + bytes(64 * MIB) + b"end", "zst")
    cloud.done(cloud.upload(data, name="holey", format="raw", compression="zst"))
    assert cloud.api.get("/v1/images/holey").json()["size_bytes"] > 64 * MIB
    assert stored() - before < MIB


def iso() -> bytes:
    """A CD-ROM with nothing on it."""
    made, file = pycdlib.PyCdlib(), io.BytesIO()
    made.new(interchange_level=3)
    made.write_fp(file)
    made.close()
    return file.getvalue()


def test_an_iso_is_an_image_of_its_own_kind(cloud):
    cloud.done(cloud.upload(iso(), name="cd", format="iso"))
    image = cloud.api.get("/v1/images/cd").json()
    assert (image["kind"], image["format"], image["default_user"]) == ("iso", "iso", None)
    expect(cloud.create(image="cd"), 422, "image.wrong_kind")
    cloud.assert_clean(vms=0)


def test_a_hybrid_iso_may_be_declared_a_disk(cloud):
    cloud.done(cloud.upload(iso(), name="hybrid", format="raw"))
    assert cloud.api.get("/v1/images/hybrid").json()["kind"] == "disk"


# Images that nobody should open.


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
    refused(cloud, code, qcow2(*options), format="qcow2")


@pytest.mark.parametrize("compression", PACKERS)
def test_a_packed_qcow2_that_leans_on_another_file_is_refused_too(cloud, qcow2, compression):
    data = packed(qcow2("-b", "base.raw", "-F", "raw"), compression)
    refused(cloud, "image.backing_file", data, format="qcow2", compression=compression)


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
    refused(cloud, "image.wrong_format", made[what], format=declared)


@pytest.mark.parametrize("declared", [*PACKERS, "none"])
def test_a_file_in_another_packing_than_declared_is_refused(cloud, declared):
    really = "xz" if declared == "gz" else "gz"
    refused(cloud, "image.wrong_format", packed(BOOT, really), format="raw", compression=declared)


def test_a_packing_inside_a_packing_is_refused(cloud):
    data = packed(packed(BOOT, "xz"), "gz")
    refused(cloud, "image.wrong_format", data, format="qcow2", compression="gz")


@pytest.mark.parametrize("compression", PACKERS)
def test_a_packed_file_that_was_cut_short_is_refused(cloud, compression):
    data = packed(random.Random(1).randbytes(300_000), compression)[:-100]
    refused(cloud, "image.damaged", data, format="raw", compression=compression)


@pytest.mark.parametrize("length", [512, 70_000, 2_000_000])
def test_a_qcow2_that_was_cut_short_before_it_was_sent_is_refused_and_not_filled_with_zeros(cloud, tmp_path, length):
    data = packed_as_qcow2(tmp_path, random.Random(1).randbytes(3_000_000))[:length]
    refused(cloud, "image.damaged", data, format="qcow2")


def test_a_bomb_is_refused_before_it_is_unpacked(cloud):
    data = packed(bytes(160 * MIB), "bz2")
    assert len(data) < 160 * MIB / 10**6
    refused(cloud, "image.bomb", data, format="raw", compression="bz2")


def test_a_qcow2_of_100_tib_is_refused_by_its_header(cloud, qcow2):
    refused(cloud, "image.too_large", qcow2(size="100T"), format="qcow2")


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
    refused(cloud, code, patched(qcow2(), offset, layout, value), format="qcow2")


def test_a_qcow2_whose_clusters_all_are_the_same_one_is_refused(cloud, tmp_path):
    data = bytearray(packed_as_qcow2(tmp_path, random.Random(1).randbytes(64 << 10) + bytes(1 << 20)))
    (table,) = struct.unpack_from(">Q", data, 40)
    (second,) = struct.unpack_from(">Q", data, table)
    second &= (1 << 56) - 512
    first_cluster = data[second : second + 8]
    data[second : second + 8 * 16] = first_cluster * 16
    refused(cloud, "image.damaged", bytes(data), format="qcow2")


def test_an_image_larger_than_allowed_is_refused_by_its_bytes_and_by_its_header(cloud_with, qcow2):
    cloud = cloud_with(max_image_bytes=2 * MIB)
    expect(cloud.upload(bytes(3 * MIB), name="bad", format="raw"), 422, "image.too_large")
    refused(cloud, "image.too_large", qcow2(size="3M"), format="qcow2")
    refused(cloud, "image.too_large", packed(bytes(3 * MIB), "gz"), format="raw", compression="gz")


def test_a_wrong_digest_is_refused_with_the_right_one(cloud):
    told = refused(cloud, "image.wrong_digest", BOOT, format="raw", sha256="0" * 64)
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
    refused(cloud, "image.no_sandbox", data, format="qcow2")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "a/b"),
        ("name", "<b>"),
        ("name", "x" * 300),
        ("name", "a\nb"),
        ("format", "vmdk"),
        ("sha256", "xyz"),
        ("sha256", "0" * 64 + "\n"),
        ("default_user", "root"),
        ("default_user", "a:b"),
    ],
)
def test_a_wrong_parameter_of_an_upload_is_named(cloud, field, value):
    query = {"name": "a", "format": "raw", field: value}
    assert expect(cloud.upload(BOOT, **query), 422, "request.invalid")["errors"][0]["field"] == field
    cloud.assert_clean()


@pytest.mark.parametrize("moment", ["before import_image", "after import_image"])
@pytest.mark.parametrize("error", [FullError("full"), UnreachableError("away"), ZeroDivisionError("fault")], ids=str)
def test_an_import_that_fails_is_undone(cloud, qcow2, moment, error):
    fail_once(cloud, moment, error)
    assert cloud.ended(cloud.upload(qcow2(), name="bad", format="qcow2"))["state"] == "failed"
    expect(cloud.api.get("/v1/images/bad"), 404, "image.not_found")
    cloud.assert_clean()


def test_an_import_that_is_cancelled_is_undone(cloud):
    job = cloud.upload(BOOT, name="bad", format="raw").json()
    assert cloud.api.get("/v1/images/bad").json()["state"] == "importing"
    expect(cloud.create(image="bad"), 409, "image.not_ready")
    expect(cloud.api.delete("/v1/images/bad"), 409, "image.busy")
    cloud.api.delete(f"/v1/jobs/{job['id']}")
    cloud.settle()
    expect(cloud.api.get("/v1/images/bad"), 404, "image.not_found")
    cloud.assert_clean(vms=0)


def test_a_pool_without_room_refuses_an_image(cloud):
    cloud.storage.set_full("images", True)
    cloud.observe()
    expect(cloud.upload(BOOT, name="bad", format="raw"), 409, "pool.full")
    cloud.assert_clean()


def test_an_image_lies_in_the_pool_that_is_named_when_that_one_is_for_images(cloud):
    for pool in ("vms", "nothing"):
        answer = cloud.upload(BOOT, name="a", format="raw", pool=pool)
        assert expect(answer, 422, "pool.not_found")["errors"][0]["field"] == "pool"
    cloud.change(Pool.update(for_images=True).where(Pool.name == "vms"))
    cloud.done(cloud.upload(BOOT, name="a", format="raw", pool="vms"))
    image = cloud.api.get("/v1/images/a").json()
    assert image["pool"] == "vms"
    assert f"image-{image['id']}" in {ref.rbd_name for ref in cloud.storage.volumes("vms")}
    cloud.done(cloud.api.delete("/v1/images/a"))
    cloud.assert_clean()


def test_a_deleted_image_goes_at_once_when_nothing_is_cloned_from_it(cloud):
    cloud.make_vm()
    cloud.done(cloud.api.delete("/v1/vms/web"))
    assert cloud.done(cloud.api.delete("/v1/images/mini"))["result"] == {"clones": 0}
    expect(cloud.api.get("/v1/images/mini"), 404, "image.not_found")
    cloud.assert_clean(vms=0)


def test_a_deleted_image_is_gone_for_everybody_while_its_clones_live_on(cloud):
    vm = cloud.make_vm()
    image = cloud.api.get("/v1/images/mini").json()
    assert cloud.done(cloud.api.delete("/v1/images/mini"))["result"] == {"clones": 1}
    for ref in ("mini", image["id"]):
        expect(cloud.api.get(f"/v1/images/{ref}"), 404, "image.not_found")
    expect(cloud.create("another"), 422, "image.not_found")
    assert cloud.api.get("/v1/images").json()["items"] == []
    assert cloud.vm()["observed_state"] == vm["observed_state"]
    assert cloud.vm()["image"] == "mini"
    assert {volume["image"] for volume in cloud.vm()["volumes"]} == {"mini", None}
    cloud.round("sweep_images")
    cloud.assert_clean(vms=1)


def test_the_name_of_a_deleted_image_is_free_at_once(cloud):
    cloud.make_vm()
    cloud.done(cloud.api.delete("/v1/images/mini"))
    cloud.image("mini", b"new" * 1000)
    assert cloud.api.get("/v1/images/mini").json()["size_bytes"] == 4096
    cloud.done(cloud.api.delete("/v1/images/mini"))
    cloud.assert_clean(vms=1)


def test_a_deleted_images_bytes_go_with_its_last_clone(cloud):
    cloud.make_vm("one")
    cloud.make_vm("two")
    cloud.done(cloud.api.delete("/v1/images/mini"))
    for name, left in (("one", 1), ("two", 0)):
        cloud.done(cloud.api.delete(f"/v1/vms/{name}"))
        cloud.round("sweep_images")
        assert len(cloud.storage.volumes("images")) == left
    cloud.assert_clean(vms=0)
    assert cloud.rows(Image) == []


def test_what_an_image_takes_counts_in_its_projects_quota_until_its_bytes_are_gone(cloud, qcow2):
    def used() -> dict[str, int]:
        with unit_of_work(cloud.db):
            project = next(iter(Project.select()))
            rows = {row.resource: row.used for row in quotas.of_project(project.id)}
            assert {key: value for key, value in quotas.recounted(project.id).items() if value} == {
                key: value for key, value in rows.items() if value
            }
            return rows

    before = used()["gib:images"]
    cloud.done(cloud.upload(qcow2(size="1025M"), name="big", format="qcow2"))
    assert used()["gib:images"] == before + 2
    refused(cloud, "image.wrong_format", BOOT, format="qcow2")
    assert used()["gib:images"] == before + 2
    cloud.make_vm()
    cloud.done(cloud.api.delete("/v1/images/mini"))
    cloud.done(cloud.api.delete("/v1/images/big"))
    assert used()["gib:images"] == before
    cloud.done(cloud.api.delete("/v1/vms/web"))
    cloud.round("sweep_images")
    assert used()["gib:images"] == before - 1


def test_an_image_beyond_the_quota_is_refused_and_leaves_nothing(cloud):
    with transaction(cloud.db):
        quotas.set_limit(next(iter(Project.select())).id, "gib:images", 1)
    refused(cloud, "quota.exceeded", BOOT, format="raw")


def test_an_image_that_is_being_deleted_is_cloned_no_more(cloud):
    job = cloud.api.delete("/v1/images/mini").json()
    expect(cloud.create(), 409, "image.not_ready")
    cloud.api.delete(f"/v1/jobs/{job['id']}")
    cloud.settle()
    assert cloud.api.get("/v1/images/mini").json()["state"] == "ready"
    cloud.make_vm()


# A file that lies on the server.


def from_server(cloud, path, client=None, **more):
    return (client or cloud.api).post("/v1/images", json={"name": "srv", "format": "raw", "path": path, **more})


def test_an_admin_imports_a_file_from_the_servers_folder_and_the_file_stays(cloud):
    folder = cloud.images / "deep"
    folder.mkdir()
    (folder / "disk.raw").write_bytes(BOOT)
    cloud.done(from_server(cloud, "deep/disk.raw", sha256=hashlib.sha256(BOOT).hexdigest()))
    assert cloud.api.get("/v1/images/srv").json()["state"] == "ready"
    assert (folder / "disk.raw").read_bytes() == BOOT
    cloud.assert_clean()


def test_a_file_of_the_server_is_not_for_users(cloud):
    (cloud.images / "disk.raw").write_bytes(BOOT)
    expect(from_server(cloud, "disk.raw", cloud.client("user")), 403, "auth.forbidden")


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret.raw", "a/../../secret.raw", "..", "a\0b"])
def test_a_path_that_leads_out_of_the_folder_is_refused(cloud, path):
    (cloud.images.parent / "secret.raw").write_bytes(BOOT)
    expect(from_server(cloud, path), 422, "request.invalid")
    cloud.assert_clean()


def test_a_link_that_leads_out_of_the_folder_is_refused(cloud):
    (cloud.images.parent / "secret.raw").write_bytes(BOOT)
    (cloud.images / "link.raw").symlink_to(cloud.images.parent / "secret.raw")
    (cloud.images / "folder").symlink_to(cloud.images.parent)
    for path in ("link.raw", "folder/secret.raw"):
        expect(from_server(cloud, path), 422, "image.no_server_file")
    cloud.assert_clean()


@pytest.mark.parametrize("path", ["nothing.raw", ".", "pipe", "x" * 1000, "a" * 300])
def test_what_is_no_file_in_the_folder_is_refused(cloud, path):
    os.mkfifo(cloud.images / "pipe")
    expect(from_server(cloud, path), 422, "image.no_server_file")


def test_without_a_configured_folder_no_server_file_is_imported(cloud_with):
    cloud = cloud_with(server_image_dir=None)
    expect(from_server(cloud, "disk.raw"), 422, "image.no_server_folder")


def test_a_server_file_with_a_backing_file_is_refused(cloud, qcow2):
    (cloud.images / "bad.qcow2").write_bytes(qcow2("-b", "base.raw", "-F", "raw"))
    job = cloud.ended(from_server(cloud, "bad.qcow2", format="qcow2"))
    assert job["error"]["code"] == "image.backing_file"
    cloud.assert_clean()
