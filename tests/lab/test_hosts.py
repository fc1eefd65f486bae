"""Hosts that fail and come back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from lab import health
from lab.images import stamps
from lab.machine import Machine
from service.cli.client import Json, at
from service.cli.errors import ApiError
from tests.lab.agreement import assert_agree, hosts_of
from tests.lab.cloud import Cloud
from tests.lab.patience import eventually
from tests.lab.sweep import LIBVIRT_UNITS

pytestmark = pytest.mark.usefixtures("alone")

GIANT_MIB = 65536  # more than any host has
HEAL_S = 240


def reasons_in(refusal: ApiError) -> dict[str, list[str]]:
    """Each host's reasons, from the refusal of a request that no host can meet."""
    if refusal.problem["code"] != "placement.no_host":
        raise refusal
    return cast(dict[str, list[str]], refusal.problem["reasons"])


def reasons_against(cloud: Cloud, vm: str, host: str) -> str:
    """Why the VM cannot move to this host; empty when it could."""
    try:
        cloud.ended(cloud.client.post(at("vms", vm, "migrate"), {"host": host}))
    except ApiError as error:
        return "; ".join(reasons_in(error)[host])
    return ""


@contextmanager
def without_libvirtd(machine: Machine) -> Iterator[None]:
    """libvirtd of one host is stopped; its guests go on."""
    machine.run(["systemctl", "stop", *LIBVIRT_UNITS])
    try:
        yield
    finally:
        machine.run(["systemctl", "start", *LIBVIRT_UNITS])


def test_a_host_without_libvirtd_shows_a_problem_and_is_ruled_out_while_others_go_on(cloud: Cloud) -> None:
    name = cloud.create()
    broken = next(m for m in cloud.lab.machines if m.spec.name != cloud.vm(name)["host"])
    giant = cloud.new_flavor(memory_mib=GIANT_MIB)
    with without_libvirtd(broken):
        eventually("the host shows a problem", lambda: cloud.host(broken.spec.name)["problem"])
        stale = eventually("its facts are too old", lambda: _stale(cloud, broken.spec.name, giant))
        against = reasons_against(cloud, name, broken.spec.name)
        assert "facts are" in against
        assert stale["problem"] in against
        other = cloud.create()
        assert cloud.vm(other)["host"] != broken.spec.name
    eventually("the problem is over", lambda: cloud.host(broken.spec.name)["problem"] is None)
    assert_agree(cloud)


def _stale(cloud: Cloud, host: str, giant: str) -> Json | None:
    """The host, once placement says that its facts are too old: a request that cannot be met tells."""
    reasons = _reasons_for(cloud, giant)[host]
    return cloud.host(host) if any(reason.startswith("facts are") for reason in reasons) else None


def _reasons_for(cloud: Cloud, giant: str) -> dict[str, list[str]]:
    with pytest.raises(ApiError) as refused:
        cloud.order(cloud.new_name(), flavor=giant)
    return reasons_in(refused.value)


def test_a_killed_host_comes_back_healthy_and_its_vm_is_started_again(cloud: Cloud) -> None:
    name = cloud.create()
    cloud.inside(name, "sync")
    before = cloud.vm(name)
    names = {vm["name"] for vm in cloud.client.items("/v1/vms")}
    cloud.wait_stamp(name)
    machine = cloud.lab.machine(before["host"])
    machine.kill()
    try:
        eventually("the host shows a problem", lambda: cloud.host(before["host"])["problem"])
        assert cloud.vm(name)["host"] == before["host"]  # nobody has proved that it stopped
        assert {vm["name"] for vm in cloud.client.items("/v1/vms")} == names
    finally:
        machine.boot()
    healed = health.wait_healthy(cloud.lab.spec, HEAL_S)
    assert healed.status == "HEALTH_OK", healed
    written = cloud.stamps(name)[-1].seq  # by now: what it wrote before it died is in
    after = eventually("the VM is started again", lambda: _next_run(cloud, name, before["epoch"]))
    assert len(hosts_of(cloud, after)) == 1
    found = cloud.wait_stamp(name, after=written)
    assert stamps.missing(found) == ()
    assert len(stamps.boots(found)) == 2
    assert {vm["name"] for vm in cloud.client.items("/v1/vms")} == names
    assert_agree(cloud)


def _next_run(cloud: Cloud, name: str, epoch: int) -> Json | None:
    vm = cloud.vm(name)
    return vm if vm["epoch"] > epoch and vm["observed_state"] == "running" else None
