"""Images from a file that lies on the server."""

import hashlib
import os

import pytest

from tests.api.world import BOOT, expect


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
