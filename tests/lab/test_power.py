"""Switching VMs on and off, and deleting them."""

from __future__ import annotations

import pytest

from lab.images import stamps
from tests.lab.agreement import assert_agree, assert_nothing_left, hosts_of
from tests.lab.cloud import Cloud
from tests.lab.patience import eventually

WRITE = "echo kept > ~/kept && sync"


@pytest.fixture(scope="module")
def name(house: Cloud) -> str:
    """One VM that is running whenever a test begins."""
    return house.create()


def test_a_vm_that_was_shut_down_starts_again_with_its_data_in_a_new_epoch(house: Cloud, name: str) -> None:
    first_boot, epoch = house.boot_id(name), house.vm(name)["epoch"]
    house.inside(name, WRITE)
    house.wait_stamp(name)
    house.told("vm", "shut-down", name, "--wait")
    stopped = house.vm(name)
    assert (stopped["observed_state"], stopped["desired_state"], stopped["host"]) == ("stopped", "stopped", None)
    assert hosts_of(house, stopped) == []
    assert house.lab.storage.volume(house.root(stopped)) is not None
    assert_agree(house)
    assert "[vm.not_running]" in house.refused("vm", "migrate", name)

    written = house.stamps(name)[-1].seq
    house.told("vm", "start", name, "--wait")
    assert house.vm(name)["epoch"] == epoch + 1
    assert house.inside(name, "cat ~/kept") == "kept"
    found = house.wait_stamp(name, after=written)
    assert stamps.boots(found) == (first_boot, house.boot_id(name))
    assert stamps.missing(found) == ()
    assert_agree(house)


def test_a_reset_boots_the_guest_anew_where_it_is(house: Cloud, name: str) -> None:
    before, boot = house.vm(name), house.boot_id(name)
    house.told("vm", "reset", name, "--wait")
    eventually("the guest has booted anew", lambda: house.boot_id(name) != boot)
    after = house.vm(name)
    assert (after["host"], after["epoch"]) == (before["host"], before["epoch"])
    assert_agree(house)


def test_a_guest_that_powers_itself_off_is_seen_stopped_and_stays_off(house: Cloud, name: str) -> None:
    house.inside(name, "sudo sh -c 'sync; (sleep 1; poweroff -f) >/dev/null 2>&1 &'")
    stopped = house.wait_state(name, "stopped")
    assert (stopped["desired_state"], stopped["host"]) == ("stopped", None)
    assert hosts_of(house, stopped) == []
    assert_agree(house)
    house.told("vm", "start", name, "--wait")


def test_a_vm_that_is_forced_off_is_gone_from_its_host_and_starts_again(house: Cloud, name: str) -> None:
    house.inside(name, WRITE)
    house.told("vm", "force-off", name, "--wait")
    assert house.vm(name)["observed_state"] == "stopped"
    assert hosts_of(house, house.vm(name)) == []
    assert_agree(house)
    house.told("vm", "start", name, "--wait")
    assert house.inside(name, "cat ~/kept") == "kept"


def test_a_deleted_vm_leaves_nothing(house: Cloud, name: str) -> None:
    vm = house.vm(name)
    house.told("vm", "delete", name, "--yes", "--wait")
    assert_nothing_left(house, vm)
