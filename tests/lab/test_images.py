"""Images on real Ceph: in any packing, over breaks and kills, deleted under living clones, never opened unguarded."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pycdlib
import pytest

from lab.command import run
from lab.health import client_arguments
from lab.images import build_mini
from lab.service import PORT, token_file
from service.cli.client import Json, at
from service.cli.upload import CHUNK_BYTES
from storage.refs import ImageRef
from tests.lab.agreement import assert_agree
from tests.lab.cloud import Cloud
from tests.lab.patience import eventually
from tests.lab.test_crash import watch_until

MIB = 1 << 20


def sandboxes(cloud: Cloud) -> list[str]:
    """Programs that the lab's service has running on an upload; other suites have some of their own."""
    folder = str(cloud.lab.spec.folder)
    return [line for line in run(["ps", "-eww", "-o", "args"]).splitlines() if "bwrap " in line and folder in line]


@pytest.fixture(autouse=True)
def _nothing_is_left(cloud: Cloud) -> Iterator[None]:
    yield
    cloud.wait_idle()
    assert_agree(cloud)
    folder = cloud.lab.spec.folder / "service/uploads"
    assert not folder.exists() or list(folder.iterdir()) == []
    assert sandboxes(cloud) == []


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw disk with data, a long hole and an end."""
    file = tmp_path_factory.mktemp("disk") / "disk.raw"
    with file.open("wb") as stream:
        stream.write(random.Random(1).randbytes(24 * MIB))
        stream.truncate(512 * MIB)
        stream.seek(512 * MIB - 4096)
        stream.write(b"end!" * 1024)
    return file


def packed(disk: Path, folder: Path, *tool: str) -> Path:
    """The disk as a qcow2, packed by a tool that replaces the file."""
    file = folder / "disk.qcow2"
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, file])
    run([*tool, file])
    return next(folder.glob("disk.qcow2.*"))


@pytest.mark.parametrize("tool", [("gzip", "-1"), ("xz", "-0"), ("bzip2",), ("zstd", "-q", "--rm")], ids=lambda t: t[0])
def test_a_packed_qcow2_is_in_ceph_byte_for_byte_and_its_holes_take_nothing(
    cloud: Cloud, disk: Path, tmp_path: Path, tool: tuple[str, ...]
) -> None:
    name = cloud.upload(packed(disk, tmp_path, *tool))
    image = cloud.client.get(at("images", name))
    with disk.open("rb") as stream:
        assert image["raw_sha256"] == hashlib.file_digest(stream, "sha256").hexdigest()
    device = f"images/image-{image['id']}"
    (usage, *_) = json.loads(run(["rbd", *client_arguments(cloud.lab.spec), "du", device, "--format", "json"]))[
        "images"
    ]
    assert usage["provisioned_size"] == 512 * MIB
    assert usage["used_size"] <= 32 * MIB


def test_an_image_that_is_deleted_is_hidden_at_once_and_its_clone_starts_again(cloud: Cloud) -> None:
    name = cloud.upload(build_mini.build())
    image = cloud.client.get(at("images", name))
    ref = ImageRef("images", f"image-{image['id']}")
    vm = cloud.create(image=name)
    assert cloud.told("image", "delete", name, "--yes", "--wait")["result"] == {"clones": 1}
    assert "[image.not_found]" in cloud.refused("image", "show", name)
    cloud.told("vm", "force-off", vm, "--wait")
    cloud.told("vm", "start", vm, "--wait")
    assert cloud.boot_id(vm)
    assert cloud.lab.storage.image_size(ref) is not None
    cloud.told("vm", "delete", vm, "--yes", "--wait")
    eventually("the bytes go with the last clone", lambda: cloud.lab.storage.image_size(ref) is None)


def test_an_iso_is_an_image_for_drives(cloud: Cloud, tmp_path: Path) -> None:
    made, file = pycdlib.PyCdlib(), io.BytesIO()
    made.new(interchange_level=3)
    made.write_fp(file)
    made.close()
    (tmp_path / "cd.iso").write_bytes(file.getvalue())
    image = cloud.client.get(at("images", cloud.upload(tmp_path / "cd.iso")))
    assert (image["kind"], image["default_user"]) == ("iso", None)


def announce(cloud: Cloud, name: str, file: Path) -> Json:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    said = {"name": name, "format": "raw", "size_bytes": file.stat().st_size, "sha256": digest}
    return cloud.client.post("/v1/uploads", said)


def test_an_api_killed_in_the_middle_of_an_upload_loses_nothing_and_the_command_goes_on(cloud: Cloud) -> None:
    file, name = build_mini.build(), cloud.adopt("images", "half")
    upload = announce(cloud, name, file)
    connection = http.client.HTTPConnection(str(cloud.lab.spec.control_address), PORT, timeout=60)
    connection.putrequest("PATCH", f"/v1/uploads/{upload['id']}")
    connection.putheader("Authorization", f"Bearer {token_file(cloud.lab.spec).read_text().strip()}")
    connection.putheader("Content-Type", "application/octet-stream")
    connection.putheader("Upload-Offset", "0")
    connection.putheader("Content-Length", str(file.stat().st_size))
    connection.endheaders()
    with file.open("rb") as stream:
        connection.send(stream.read(file.stat().st_size // 2))
    path = at("uploads", upload["id"])
    eventually("the first bytes are on the disk", lambda: cloud.client.get(path)["offset"] >= CHUNK_BYTES)
    cloud.crash("api")
    connection.close()
    cloud.crash("worker")  # what nobody owns is swept when it starts
    cloud.restart()
    there = cloud.client.get(path)["offset"]
    assert CHUNK_BYTES <= there < file.stat().st_size
    cloud.told("image", "upload", name, str(file), "--wait")
    assert cloud.client.get(at("images", name))["id"] == upload["id"]


@pytest.mark.parametrize("moment", ["verify", "decompress", "convert", "digest", "import", "clean"])
def test_a_worker_killed_in_an_import_leaves_the_image_whole_or_not_at_all(
    cloud: Cloud, disk: Path, tmp_path: Path, moment: str
) -> None:
    file, name = packed(disk, tmp_path, "gzip", "-1"), cloud.adopt("images", f"killed-{moment}")
    job = cloud.told("image", "upload", name, str(file), "--no-wait")
    watch_until(cloud, job, lambda seen: seen["phase"] == moment)
    cloud.crash("worker")
    assert sandboxes(cloud) == []
    cloud.restart()
    assert cloud.ended(job)["state"] == "succeeded"
    with disk.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    assert cloud.client.get(at("images", name))["raw_sha256"] == digest


def test_an_import_that_is_cancelled_while_it_unpacks_leaves_nothing(cloud: Cloud, disk: Path, tmp_path: Path) -> None:
    file = packed(disk, tmp_path, "bzip2")
    job = cloud.told("image", "upload", "cancelled", str(file), "--no-wait")
    watch_until(cloud, job, lambda seen: seen["phase"] in ("decompress", "convert"))
    cloud.told("job", "cancel", job["id"])
    assert cloud.ended(job)["state"] in ("cancelled", "succeeded")
    if cloud.job(job["id"])["state"] == "succeeded":
        cloud.told("image", "delete", "cancelled", "--yes", "--wait")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_host_of_the_cloud_is_not_fetched_from(cloud: Cloud, number: int) -> None:
    address = cloud.lab.machine(f"host{number}").spec.address
    assert "[url.address]" in cloud.refused("image", "import", "inner", f"http://{address}/disk.raw")


def test_a_bomb_of_one_to_a_million_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    file = tmp_path / "bomb.raw.bz2"
    with file.open("wb") as stream:
        zeros = subprocess.Popen(["head", "-c", "300M", "/dev/zero"], stdout=subprocess.PIPE)
        subprocess.run(["bzip2", "-c"], stdin=zeros.stdout, stdout=stream, check=True)
        zeros.wait()
    assert "[image.bomb]" in cloud.refused("image", "upload", "bomb", str(file))
