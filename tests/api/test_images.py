"""Images: what an upload may be, in which packing and pool, and what a failed import leaves."""

import hashlib
import random

import pytest

from service.db.tables import Pool
from storage.errors import FullError, UnreachableError
from tests.api.image_files import PACKERS, iso, packed, packed_as_qcow2
from tests.api.test_failures import fail_once
from tests.api.world import BOOT, MIB, expect


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


def test_an_iso_is_an_image_of_its_own_kind(cloud):
    cloud.done(cloud.upload(iso(), name="cd", format="iso"))
    image = cloud.api.get("/v1/images/cd").json()
    assert (image["kind"], image["format"], image["default_user"]) == ("iso", "iso", None)
    expect(cloud.create(image="cd"), 422, "image.wrong_kind")
    cloud.assert_clean(vms=0)


def test_a_hybrid_iso_may_be_declared_a_disk(cloud):
    cloud.done(cloud.upload(iso(), name="hybrid", format="raw"))
    assert cloud.api.get("/v1/images/hybrid").json()["kind"] == "disk"


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
    assert f"image-{image['id']}" in {ref.name for ref in cloud.storage.volumes("vms")}
    cloud.done(cloud.api.delete("/v1/images/a"))
    cloud.assert_clean()
