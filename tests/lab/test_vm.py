"""A VM made by the command line is a machine that one can use."""

from __future__ import annotations

import json

import pytest

from lab.command import run
from lab.health import client_arguments
from service.cli.client import Json
from storage.refs import ImageRef
from tests.lab.agreement import assert_agree, hosts_of
from tests.lab.cloud import FLAVOR, Cloud
from tests.lab.whole_lab import IMAGE

FEATURES = {"layering", "exclusive-lock", "object-map", "fast-diff", "deep-flatten"}


@pytest.fixture(scope="module")
def two_vms(house: Cloud) -> tuple[Json, Json]:
    """Running VMs, as the API shows them: they boot side by side."""
    return house.vm(house.create()), house.vm(house.create())


@pytest.fixture(scope="module")
def vm(two_vms: tuple[Json, Json]) -> Json:
    """The first of them."""
    return two_vms[0]


@pytest.fixture(scope="module")
def rbd_info(house: Cloud, vm: Json) -> Json:
    """`rbd info` of its root disk."""
    volume = str(house.root(vm))
    return dict(json.loads(run(["rbd", *client_arguments(house.lab.spec), "info", volume, "--format", "json"])))


def test_the_cli_makes_a_running_vm_on_one_host_with_an_address_of_the_network(house: Cloud, vm: Json) -> None:
    shown = house.told("vm", "show", vm["name"])
    first, last = house.lab.spec.guest_pool
    assert (shown["observed_state"], shown["desired_state"]) == ("running", "running")
    assert int(first) <= int(type(first)(shown["address"])) <= int(last)
    assert hosts_of(house, vm) == [shown["host"]]
    listed = {row["name"]: row["observed_state"] for row in house.told("vm", "list")}
    assert listed == {row["name"]: row["observed_state"] for row in house.client.items("/v1/vms")}
    assert_agree(house)


def test_the_decision_for_its_host_is_kept_with_every_hosts_score(house: Cloud, vm: Json) -> None:
    decision = house.told("vm", "why", vm["name"])
    assert {verdict["host_name"] for verdict in decision["verdicts"]} == {"host1", "host2", "host3"}
    assert decision["chosen"]["host_name"] == vm["host"]


def test_hostname_user_and_address_inside_are_those_of_the_seed(house: Cloud, vm: Json) -> None:
    assert house.inside(vm["name"], "hostname") == vm["name"]
    by_command = house.nacre("vm", "ssh", vm["name"], "--", "hostname")
    assert (by_command.returncode, by_command.stdout.strip()) == (0, vm["name"]), by_command.stderr
    assert house.inside(vm["name"], "whoami") == vm["user"]
    assert f"inet {vm['address']}/" in house.inside(vm["name"], "ip -4 address show")


def test_the_root_disk_inside_is_as_large_as_the_flavor_says(house: Cloud, vm: Json) -> None:
    sectors = int(house.inside(vm["name"], "cat /sys/class/block/vda/size"))
    assert sectors * 512 == house.client.get(f"/v1/flavors/{FLAVOR}")["disk_bytes"]


def test_memory_and_vcpus_inside_are_the_flavors(house: Cloud, vm: Json) -> None:
    assert int(house.inside(vm["name"], "nproc")) == vm["vcpus"]
    total_kib = int(house.inside(vm["name"], "awk '/^MemTotal/ { print $2 }' /proc/meminfo"))
    assert vm["memory_mib"] * 0.7 < total_kib / 1024 <= vm["memory_mib"]


def test_the_root_disk_is_a_clone_of_the_images_golden_snapshot(house: Cloud, vm: Json, rbd_info: Json) -> None:
    image = house.client.get(f"/v1/images/{IMAGE}")
    info = house.lab.storage.volume(house.root(vm))
    assert info is not None
    assert info.parent == ImageRef("images", f"image-{image['id']}")
    assert "clone-child" in rbd_info["op_features"]  # clone format 2
    assert set(rbd_info["features"]) >= FEATURES
    assert rbd_info["size"] == house.client.get(f"/v1/flavors/{FLAVOR}")["disk_bytes"]


def test_two_vms_have_two_addresses_and_two_macs(house: Cloud, two_vms: tuple[Json, Json]) -> None:
    vm, other = two_vms
    assert other["address"] != vm["address"]
    assert other["nics"][0]["mac"] != vm["nics"][0]["mac"]
    assert house.inside(other["name"], "hostname") == other["name"]
