"""Bad input on the real thing: a problem with a stable code, and nothing left anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.command import run
from service.cli.client import Json, at
from service.cli.errors import ApiError
from tests.lab.agreement import assert_agree, assert_nothing_left
from tests.lab.cloud import Cloud
from tests.lab.patience import eventually
from tests.lab.sweep import set_quota

POOL = "vms"
HOSTILE: dict[str, tuple[list[str], str]] = {
    "a backing file": (["-b", "/etc/passwd", "-F", "raw"], "image.backing_file"),
    "a data file": (["-o", "data_file={folder}/data.raw"], "image.data_file"),
}


@pytest.fixture(autouse=True)
def _everything_agrees_afterwards(cloud: Cloud) -> Iterator[None]:
    yield
    cloud.wait_idle()
    assert_agree(cloud)


def pool(cloud: Cloud) -> Json:
    """The pool as the service last saw it."""
    return next(one for one in cloud.client.items("/v1/pools") if one["name"] == POOL)


@contextmanager
def full_pool(cloud: Cloud) -> Iterator[None]:
    """The pool is over its quota, and the service has seen it."""
    set_quota(cloud.lab, POOL, 1)
    try:
        eventually("the pool is seen full", lambda: pool(cloud)["full"])
        yield
    finally:
        set_quota(cloud.lab, POOL, 0)
        eventually("the pool is seen with room", lambda: not pool(cloud)["full"])


@pytest.mark.usefixtures("alone")
def test_a_full_pool_refuses_creates_and_lets_delete(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.create())
    with full_pool(cloud):
        told = cloud.refused("vm", "create", cloud.new_name(), "--image", "mini", "--flavor", "small", "--wait")
        assert "[pool.full]" in told
        cloud.told("vm", "delete", vm["name"], "--yes", "--wait")
        assert_nothing_left(cloud, vm)


@pytest.mark.parametrize("trick", HOSTILE)
def test_a_qcow2_that_names_another_file_is_refused(cloud: Cloud, tmp_path: Path, trick: str) -> None:
    options, code = HOSTILE[trick]
    file = tmp_path / "evil.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", *(o.format(folder=tmp_path) for o in options), file, "1M"])
    assert f"[{code}]" in cloud.refused("image", "upload", "evil", str(file))
    assert "evil" not in {image["name"] for image in cloud.client.items("/v1/images")}
    uploads = cloud.lab.spec.folder / "service/uploads"
    assert not uploads.exists() or list(uploads.iterdir()) == []


def test_a_vm_cannot_be_deleted_while_it_is_created(cloud: Cloud) -> None:
    name = cloud.new_name()
    job = cloud.order(name)
    with pytest.raises(ApiError) as refused:  # not by the command: the VM might be there before it is
        cloud.client.delete(at("vms", name))
    assert refused.value.problem["code"] == "vm.busy"
    assert cloud.ended(job)["state"] == "succeeded"
    assert cloud.vm(name)["observed_state"] == "running"


def test_more_memory_than_any_host_has_is_refused_with_each_hosts_reason(cloud: Cloud) -> None:
    giant = cloud.new_flavor(memory_mib=65536)
    with pytest.raises(ApiError) as refused:
        cloud.order(cloud.new_name(), flavor=giant)
    assert refused.value.problem["status"] == 409
    assert refused.value.problem["code"] == "placement.no_host"
    reasons = refused.value.problem["reasons"]
    assert isinstance(reasons, dict)
    assert set(reasons) == {machine.name for machine in cloud.lab.spec.machines}
    assert all("MiB of memory short" in " ".join(why) for why in reasons.values())


WRONG: dict[str, tuple[Callable[[Cloud], object], str]] = {
    "a name with markup": (lambda cloud: cloud.order("<b>x</b>"), "request.invalid"),
    "a name with a newline": (lambda cloud: cloud.order("a\nb"), "request.invalid"),
    "a name of 300 characters": (lambda cloud: cloud.order("a" * 300), "request.invalid"),
    "an unknown flavor": (lambda cloud: cloud.order(cloud.new_name(), flavor="nothing"), "flavor.not_found"),
    "an unknown VM": (lambda cloud: cloud.client.delete("/v1/vms/nobody"), "vm.not_found"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_request_that_is_wrong_in_itself_is_refused_with_its_code(cloud: Cloud, what: str) -> None:
    ask, code = WRONG[what]
    with pytest.raises(ApiError) as refused:
        ask(cloud)
    assert refused.value.problem["code"] == code
