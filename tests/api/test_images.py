"""Images: what an upload and a file on the server may be, what is refused, what is left behind."""

import hashlib
import os
import random
import subprocess

import pytest

from service.db.database import unit_of_work
from service.db.tables import Image
from service.operations import uploads
from storage.errors import FullError, UnreachableError
from tests.api.test_failures import fail_once
from tests.api.world import BOOT, MIB, Cloud, expect, threads


@pytest.fixture
def qcow2(tmp_path):
    """Makes a qcow2 file with the given options of qemu-img create; returns its bytes."""

    def make(*options: str, size: str = "1M") -> bytes:
        path = tmp_path / "made.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), size], check=True, cwd=tmp_path)
        return path.read_bytes()

    (tmp_path / "base.raw").write_bytes(bytes(MIB))
    return make


def test_a_raw_image_is_ready_with_its_digest_and_in_whole_sectors(cloud):
    data = b"x" * 5000
    cloud.image("odd", data)
    image = cloud.api.get("/v1/images/odd").json()
    assert (image["state"], image["size_bytes"]) == ("ready", 8192)
    assert image["sha256"] == hashlib.sha256(data).hexdigest()
    cloud.assert_clean()


def test_images_are_listed_by_name(cloud):
    cloud.image("another")
    assert [image["name"] for image in cloud.api.get("/v1/images").json()["items"]] == ["another", "mini"]


def test_a_qcow2_is_unpacked(cloud, qcow2):
    data = qcow2()
    job = cloud.done(cloud.upload(data, name="packed", format="qcow2"))
    assert [phase["name"] for phase in job["phases"]] == ["unpack", "import", "clean", "record"]
    image = cloud.api.get("/v1/images/packed").json()
    assert (image["format"], image["size_bytes"], image["sha256"]) == ("qcow2", MIB, hashlib.sha256(data).hexdigest())
    cloud.make_vm(image="packed")
    cloud.assert_clean()


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
    expect(cloud.upload(qcow2(*options), name="bad", format="qcow2"), 422, code)
    expect(cloud.api.get("/v1/images/bad"), 404, "image.not_found")
    cloud.assert_clean()


@pytest.mark.parametrize("declared", ["raw", "qcow2"])
def test_a_file_that_is_not_what_it_is_declared_is_refused(cloud, qcow2, declared):
    data = {"raw": qcow2(), "qcow2": BOOT}[declared]
    expect(cloud.upload(data, name="bad", format=declared), 422, "image.wrong_format")
    cloud.assert_clean()


@pytest.mark.parametrize("length", [512, 70_000, 2_000_000])
def test_a_qcow2_that_was_cut_short_before_it_was_sent_is_refused_and_not_filled_with_zeros(cloud, tmp_path, length):
    (tmp_path / "whole.raw").write_bytes(random.Random(1).randbytes(3_000_000))
    command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "whole.raw", "whole.qcow2"]
    subprocess.run(command, check=True, cwd=tmp_path)
    data = (tmp_path / "whole.qcow2").read_bytes()[:length]
    job = cloud.ended(cloud.upload(data, name="bad", format="qcow2"))
    assert (job["state"], job["error"]["code"]) == ("failed", "image.damaged")
    expect(cloud.api.get("/v1/images/bad"), 404, "image.not_found")
    cloud.assert_clean()


def test_an_image_larger_than_allowed_is_refused_by_its_bytes_and_by_its_header(tmp_path, furnished, qcow2):
    model, database = furnished
    cloud = Cloud(tmp_path / "small", database, max_image_bytes=2 * MIB).like(model)
    expect(cloud.upload(bytes(3 * MIB), name="bad", format="raw"), 413, "request.too_large")
    expect(cloud.upload(qcow2(size="3M"), name="bad", format="qcow2"), 422, "image.too_large")
    cloud.assert_clean()


def test_a_wrong_digest_is_refused_with_the_right_one(cloud):
    answer = cloud.upload(BOOT, name="bad", format="raw", sha256="0" * 64)
    assert hashlib.sha256(BOOT).hexdigest() in expect(answer, 422, "image.wrong_digest")["detail"]
    cloud.assert_clean()
    cloud.done(cloud.upload(BOOT, name="good", format="raw", sha256=hashlib.sha256(BOOT).hexdigest()))


def test_a_taken_name_is_refused_before_a_byte_is_read(cloud):
    body = iter(lambda: pytest.fail("read"), None)

    class Unread:
        def read(self, count=-1):
            return next(body)

    answer = cloud.client("admin", app=with_input(cloud.app, Unread())).post(
        "/v1/uploads", params={"name": "mini", "format": "raw"}, content=b"x"
    )
    expect(answer, 409, "image.name_taken")


def with_input(app, stream):
    """The application with another body than the one that was sent."""
    return lambda environ, start: app({**environ, "wsgi.input": stream}, start)


def test_an_upload_that_is_cut_short_is_refused_and_leaves_nothing(cloud):
    headers = {"Content-Length": "1000"}
    answer = cloud.api.post("/v1/uploads", params={"name": "a", "format": "raw"}, content=b"x" * 10, headers=headers)
    assert "990 bytes early" in expect(answer, 422, "upload.cut_short")["detail"]
    cloud.assert_clean()


def test_an_upload_whose_connection_breaks_leaves_nothing(cloud):
    class Broken:
        def read(self, count=-1):
            raise ConnectionResetError

    client = cloud.client("admin", app=with_input(cloud.app, Broken()))
    expect(client.post("/v1/uploads", params={"name": "a", "format": "raw"}, content=b"x"), 500, "internal")
    cloud.assert_clean()


def test_uploads_beyond_the_slots_are_told_to_come_back(tmp_path, schema):
    cloud = Cloud(tmp_path, schema, upload_slots=1).make_tokens().furnish()
    refused = []

    class Slow:
        """A body in whose middle another upload comes."""

        def read(self, size: int) -> bytes:
            threads(1, lambda _: refused.append(cloud.upload(BOOT, name="second", format="raw")))
            return BOOT[:size]

    client = cloud.client("admin", app=with_input(cloud.app, Slow()))
    answer = client.post("/v1/uploads", params={"name": "first", "format": "raw"}, content=BOOT)
    expect(refused[0], 503, "service.busy")
    cloud.done(answer)


def test_an_upload_onto_a_full_disk_is_refused_and_leaves_nothing(cloud):
    class NoSpace:
        def read(self, count=-1):
            raise OSError(28, "No space left on device")

    client = cloud.client("admin", app=with_input(cloud.app, NoSpace()))
    expect(client.post("/v1/uploads", params={"name": "a", "format": "raw"}, content=b"x"), 503, "upload.no_room")
    cloud.assert_clean()


def test_an_upload_for_which_the_server_has_no_room_is_refused_unread(cloud):
    headers = {"Content-Length": str(1 << 39)}
    answer = cloud.api.post("/v1/uploads", params={"name": "a", "format": "raw"}, content=b"x", headers=headers)
    expect(answer, 503, "upload.no_room")


def test_an_upload_without_a_length_or_without_a_body_is_refused(cloud):
    query = {"name": "a", "format": "raw"}
    expect(cloud.api.post("/v1/uploads", params=query, content=iter([b"x"])), 411, "request.length_required")
    expect(cloud.api.post("/v1/uploads", params=query, content=b""), 422, "upload.empty")


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


def test_an_image_with_clones_is_not_deleted_and_without_it_is(cloud):
    cloud.make_vm()
    expect(cloud.api.delete("/v1/images/mini"), 409, "image.in_use")
    cloud.done(cloud.api.delete("/v1/vms/web"))
    cloud.done(cloud.api.delete("/v1/images/mini"))
    expect(cloud.api.get("/v1/images/mini"), 404, "image.not_found")
    cloud.assert_clean(vms=0)


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


def test_without_a_configured_folder_no_server_file_is_imported(tmp_path, furnished):
    model, database = furnished
    cloud = Cloud(tmp_path / "none", database, server_image_dir=None).like(model)
    expect(from_server(cloud, "disk.raw"), 422, "image.no_server_folder")


def test_a_server_file_with_a_backing_file_is_refused(cloud, qcow2):
    (cloud.images / "bad.qcow2").write_bytes(qcow2("-b", "base.raw", "-F", "raw"))
    expect(from_server(cloud, "bad.qcow2", format="qcow2"), 422, "image.backing_file")


# What a dead process left.


def test_the_sweep_removes_what_nobody_owns_and_nothing_else(cloud):
    cloud.upload(BOOT, name="queued", format="raw")
    (row,) = (image for image in cloud.rows(Image) if image.name == "queued")
    owned = uploads.packed(cloud.ctx, row.id)
    orphan = uploads.packed(cloud.ctx, "00000000-0000-0000-0000-000000000000")
    orphan.write_bytes(b"left")
    with_row_only = uploads.unpacked(cloud.ctx, row.id)
    with_row_only.write_bytes(b"half")
    sweep(cloud)
    assert owned.exists()
    assert with_row_only.exists()
    assert not orphan.exists()
    cloud.settle()
    cloud.assert_clean()


def test_the_sweep_leaves_an_upload_under_way_alone(cloud):
    class Sweeping:
        """A body in whose middle another process starts and sweeps."""

        def __init__(self):
            self.left = [BOOT[:1000], BOOT[1000:]]

        def read(self, count=-1):
            sweep(cloud)
            return self.left.pop(0) if self.left else b""

    client = cloud.client("admin", app=with_input(cloud.app, Sweeping()))
    answer = client.post("/v1/uploads", params={"name": "slow", "format": "raw"}, content=BOOT)
    cloud.done(answer)
    cloud.assert_clean()


def test_a_sweep_before_the_first_upload_finds_nothing(empty):
    sweep(empty)
    assert not list(empty.settings.uploads.glob("*"))


def sweep(cloud):
    with unit_of_work(cloud.db):
        uploads.sweep(cloud.ctx)
