"""A real Debian with cloud-init and the guest agent, from qcow2 to power button. Slow: Debian boots under emulation."""

from __future__ import annotations

import json

import pytest

from lab.errors import LabError
from lab.images import build_debian
from service.cli.client import Json
from tests.lab.agreement import assert_agree, hosts_of
from tests.lab.cloud import Cloud
from tests.lab.patience import eventually

MEMORY_MIB, DISK_GIB = 1024, 4
BOOT_S = 480


@pytest.fixture(scope="module")
def vm(house: Cloud) -> Json:
    """A Debian VM of an image that was uploaded as qcow2."""
    image = house.upload(build_debian.build())
    flavor = house.new_flavor(memory_mib=MEMORY_MIB, disk_gib=DISK_GIB)
    return house.vm(house.create(image=image, flavor=flavor))


def agent_answers(house: Cloud, vm: Json) -> Json | None:
    """What the guest agent says to libvirt on the VM's host."""
    (host,) = hosts_of(house, vm)
    ask = ["virsh", "qemu-agent-command", vm["id"], '{"execute": "guest-get-host-name"}']
    try:
        return dict(json.loads(house.lab.machine(host).run(ask))["return"])
    except LabError:
        return None  # not up yet: virsh says that the agent is not connected


def test_debian_boots_takes_its_seed_and_powers_off_by_the_button(house: Cloud, vm: Json) -> None:
    name = vm["name"]
    agent = eventually("the guest agent answers", lambda: agent_answers(house, vm), within_s=BOOT_S)
    assert "done" in house.inside(name, "cloud-init status --wait")
    assert agent["host-name"] == house.inside(name, "hostname") == name
    assert house.inside(name, "whoami") == vm["user"]
    assert house.inside(name, "sudo id -u") == "0"
    assert f"inet {vm['address']}/" in house.inside(name, "ip -4 address show")
    root_bytes = int(house.inside(name, "df --output=size -B1 / | tail -n 1"))
    assert root_bytes > 0.9 * (DISK_GIB << 30)
    assert_agree(house)
    house.told("vm", "shut-down", name, "--wait")
    assert house.vm(name)["observed_state"] == "stopped"
    assert hosts_of(house, vm) == []
