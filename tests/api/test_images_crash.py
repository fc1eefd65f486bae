"""A worker that dies at any moment of an import, or of a delete under living clones: done once, or nothing is left."""

import random
import subprocess

from service.db.tables import Image
from tests.api.test_crash import deaths, mortal
from tests.api.world import MIB, expect

__all__ = ["mortal"]


def packed(folder) -> bytes:
    """A qcow2 in a gz."""
    (folder / "a.raw").write_bytes(random.Random(1).randbytes(100_000) + bytes(MIB))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "a.raw", "a.qcow2"], check=True, cwd=folder)
    subprocess.run(["gzip", "-f", "a.qcow2"], check=True, cwd=folder)
    return (folder / "a.qcow2.gz").read_bytes()


def test_an_import_that_unpacks_ends_once_whatever_dies(mortal, tmp_path):
    cloud, data = mortal.cloud, packed(tmp_path)
    moments = mortal.moments(cloud.upload(data, name="first", format="qcow2", compression="gz"))
    assert moments > 30
    digest = cloud.api.get("/v1/images/first").json()["raw_sha256"]
    for number, (at, same) in enumerate(deaths(moments, 4)):
        name = f"image-{number}"
        answer = cloud.upload(data, name=name, format="qcow2", compression="gz")
        assert mortal.die(answer, at, same=same) == "succeeded", at
        assert cloud.api.get(f"/v1/images/{name}").json()["raw_sha256"] == digest
        cloud.assert_clean()


def test_an_import_that_is_refused_leaves_nothing_whatever_dies(mortal, tmp_path):
    cloud, data = mortal.cloud, packed(tmp_path)
    said = {"format": "raw", "compression": "gz"}
    moments = mortal.moments(cloud.upload(data, name="first", **said))
    for number, (at, same) in enumerate(deaths(moments, 4)):
        assert mortal.die(cloud.upload(data, name=f"image-{number}", **said), at, same=same) == "failed", at
        expect(cloud.api.get(f"/v1/images/image-{number}"), 404, "image.not_found")
        cloud.assert_clean()


def test_a_delete_under_a_living_clone_retires_once_whatever_dies(mortal):
    cloud = mortal.cloud
    cloud.make_vm()
    moments = mortal.moments(cloud.api.delete("/v1/images/mini"))
    for number, (at, same) in enumerate(deaths(moments)):
        name = f"image-{number}"
        cloud.image(name)
        vm = cloud.make_vm(f"vm-{number}", image=name)
        assert mortal.die(cloud.api.delete(f"/v1/images/{name}"), at, same=same) == "succeeded", at
        assert [row.state for row in cloud.rows(Image) if row.name.startswith(f"{name}~")] == ["retired"]
        cloud.done(cloud.api.delete(f"/v1/vms/{vm['id']}"))
        cloud.round("sweep_images")
        assert [row.state for row in cloud.rows(Image)] == ["retired"]
        cloud.assert_clean(vms=1)
