"""A running VM moves between hosts, even when the worker is killed; its guest goes on and loses nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.images import stamps
from service.cli.client import Json
from tests.lab.agreement import assert_agree, domains, hosts_of
from tests.lab.cloud import Cloud
from tests.lab.test_crash import watch_until


@pytest.fixture(scope="module")
def name(house: Cloud) -> str:
    """A VM whose guest writes a stamped block each second."""
    made = house.create()
    house.wait_stamp(made)
    return made


def other_host(house: Cloud, name: str) -> str:
    """A host that the VM is not on."""
    here = house.vm(name)["host"]
    return next(machine.name for machine in house.lab.spec.machines if machine.name != here)


def move(house: Cloud, name: str, *options: str) -> Json:
    """Move the VM by the command line; what came of it."""
    return dict(house.told("vm", "migrate", name, *options, "--wait")["result"])


def assert_one_run_without_a_hole(house: Cloud, name: str, boot: str) -> None:
    """Everything that the guest wrote is on the disk, in order, from one and the same boot."""
    newest = house.stamps(name)[-1].seq
    found = house.wait_stamp(name, after=newest + 1)
    assert stamps.missing(found) == ()
    assert stamps.boots(found) == (boot,)
    assert stamps.late_writes(found) == ()
    assert {stamp.errors for stamp in found} == {0}


def test_a_vm_moves_to_a_named_host_and_back_and_its_guest_goes_on(house: Cloud, name: str) -> None:
    home, boot = house.vm(name)["host"], house.boot_id(name)
    target = other_host(house, name)
    for source, destination in ((home, target), (target, home)):
        result = move(house, name, "--to", destination)
        assert (result["source"], result["target"]) == (source, destination)
        assert house.vm(name)["host"] == destination
        assert hosts_of(house, house.vm(name)) == [destination]
        assert house.boot_id(name) == boot
        assert_one_run_without_a_hole(house, name, boot)
    assert_agree(house)


def test_placement_chooses_the_host_that_a_vm_moves_to(house: Cloud, name: str) -> None:
    home, boot = house.vm(name)["host"], house.boot_id(name)
    result = move(house, name)
    assert result["source"] == home != result["target"]
    decision = house.told("vm", "why", name)
    assert decision["chosen"]["host_name"] == result["target"]
    assert hosts_of(house, house.vm(name)) == [result["target"]]
    assert_one_run_without_a_hole(house, name, boot)
    assert_agree(house)


def test_a_moved_vm_uses_the_cephx_user_of_its_new_host(house: Cloud, name: str) -> None:
    target = other_host(house, name)
    move(house, name, "--to", target)
    xml = house.lab.machine(target).run(["virsh", "dumpxml", house.vm(name)["id"]])
    users = {word for word in xml.split() if word.startswith("username=")}
    assert users == {f"username='host-{target}'>"}


def test_a_vm_does_not_move_to_its_own_host_nor_to_an_unknown_one(house: Cloud, name: str) -> None:
    assert "[vm.same_host]" in house.refused("vm", "migrate", name, "--to", house.vm(name)["host"])
    assert "host9" in house.refused("vm", "migrate", name, "--to", "host9")
    assert_agree(house)


def is_on_two_hosts(cloud: Cloud, vm_id: str) -> bool:
    return sum(count for (_, found), count in domains(cloud).items() if found == vm_id) > 1


@pytest.mark.parametrize("moment", ["accepted", "moving", "on both hosts"])
def test_a_worker_killed_in_a_migration_leaves_one_running_vm_that_lost_nothing(
    house: Cloud, name: str, moment: str
) -> None:
    vm, boot = house.vm(name), house.boot_id(name)
    job = house.client.post(f"/v1/vms/{name}/migrate")
    reached: dict[str, Callable[[Json], bool]] = {
        "accepted": lambda _: True,
        "moving": lambda seen: seen["phase"] == "move",
        "on both hosts": lambda _: is_on_two_hosts(house, vm["id"]),
    }
    watch_until(house, job, reached[moment])
    house.crash("worker")
    house.restart()
    house.ended(job)
    assert_agree(house)
    after = house.vm(name)
    assert hosts_of(house, after) == [after["host"]]
    assert_one_run_without_a_hole(house, name, boot)
    assert house.boot_id(name) == boot
