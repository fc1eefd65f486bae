"""Rules between VMs hold on real hosts: where libvirt has the domains is where the rules want them."""

from __future__ import annotations

from service.cli.client import Json
from tests.lab.agreement import assert_agree, hosts_of
from tests.lab.cloud import FLAVOR, Cloud
from tests.lab.whole_lab import IMAGE


def _create(cloud: Cloud, group: str) -> Json:
    name = cloud.new_name()
    cloud.told("vm", "create", name, "--image", IMAGE, "--flavor", FLAVOR, "--placement-group", group, "--wait")
    return cloud.vm(name)


def test_vms_that_are_kept_apart_run_on_different_hosts_and_do_not_move_together(cloud: Cloud) -> None:
    group = cloud.new_group("--apart")
    one, other = _create(cloud, group), _create(cloud, group)
    assert hosts_of(cloud, one) != hosts_of(cloud, other)
    told = cloud.refused("vm", "migrate", one["name"], "--to", other["host"])
    assert f"anti-affinity '{group}': 1 of its VMs run here" in told
    assert_agree(cloud)


def test_vms_that_are_kept_together_run_on_one_host_and_one_alone_may_move(cloud: Cloud) -> None:
    group = cloud.new_group("--together")
    one = _create(cloud, group)
    cloud.told("vm", "migrate", one["name"], "--wait")
    moved = cloud.vm(one["name"])
    assert moved["host"] != one["host"]
    other = _create(cloud, group)
    assert hosts_of(cloud, other) == hosts_of(cloud, moved) == [moved["host"]]
    told = cloud.refused("vm", "migrate", one["name"], "--to", one["host"])
    assert f"affinity '{group}': its VMs run on {moved['host']}" in told
    cloud.told("placement-group", "set", group, "--soft")
    cloud.told("vm", "migrate", one["name"], "--to", one["host"], "--wait")
    assert cloud.vm(one["name"])["broken_rules"] == [f"affinity '{group}': others are on {moved['host']}"]
    assert_agree(cloud)
