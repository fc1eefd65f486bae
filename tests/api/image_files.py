"""Files that are images, or are not: made for tests that send them."""

import io
import subprocess

import pycdlib

from tests.api.world import expect


def assert_refused(cloud, code: str, data: bytes, **said) -> dict:
    """The upload is taken, its job fails with this code, and nothing is left."""
    job = cloud.ended(cloud.upload(data, name="bad", **said))
    assert (job["state"], (job["error"] or {}).get("code")) == ("failed", code), job
    expect(cloud.api.get("/v1/images/bad"), 404, "image.not_found")
    cloud.assert_clean()
    return job["error"]


def packed_as_qcow2(folder, disk: bytes, *options: str) -> bytes:
    (folder / "whole.raw").write_bytes(disk)
    command = ["qemu-img", "convert", *options, "-f", "raw", "-O", "qcow2", "whole.raw", "whole.qcow2"]
    subprocess.run(command, check=True, cwd=folder)
    return (folder / "whole.qcow2").read_bytes()


PACKERS = {"gz": ["gzip", "-c"], "xz": ["xz", "-c"], "bz2": ["bzip2", "-c"], "zst": ["zstd", "-cq"]}


def packed(data: bytes, compression: str) -> bytes:
    return subprocess.run(PACKERS[compression], input=data, check=True, capture_output=True).stdout


def iso() -> bytes:
    """A CD-ROM with nothing on it."""
    made, file = pycdlib.PyCdlib(), io.BytesIO()
    made.new(interchange_level=3)
    made.write_fp(file)
    made.close()
    return file.getvalue()
