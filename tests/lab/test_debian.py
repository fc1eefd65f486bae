"""A real Debian with cloud-init and the guest agent, from qcow2 to power button.

It takes minutes to boot under emulation: conftest.py has the contract suites run between the two tests.
"""

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


@pytest.fixture(scope="session")
def debian(long_lived: Cloud) -> Json:
    """A Debian VM of an image that was uploaded as qcow2."""
    image = long_lived.upload(build_debian.build())
    flavor = long_lived.new_flavor(memory_mib=MEMORY_MIB, disk_gib=DISK_GIB)
    return long_lived.vm(long_lived.create(image=image, flavor=flavor))


def agent_answers(cloud: Cloud, vm: Json) -> Json | None:
    """What the guest agent says to libvirt on the VM's host."""
    (host,) = hosts_of(cloud, vm)
    ask = ["virsh", "qemu-agent-command", vm["id"], '{"execute": "guest-get-host-name"}']
    try:
        return dict(json.loads(cloud.lab.machine(host).run(ask))["return"])
    except LabError:
        return None  # not up yet: virsh says that the agent is not connected


def test_a_debian_that_was_uploaded_as_qcow2_is_started(long_lived: Cloud, debian: Json) -> None:
    assert debian["observed_state"] == "running"
    assert hosts_of(long_lived, debian) == [debian["host"]]


def test_debian_boots_takes_its_seed_and_powers_off_by_the_button(long_lived: Cloud, debian: Json) -> None:
    name = debian["name"]
    agent = eventually("the guest agent answers", lambda: agent_answers(long_lived, debian), within_s=BOOT_S)
    assert "done" in long_lived.inside(name, "cloud-init status --wait")
    assert agent["host-name"] == long_lived.inside(name, "hostname") == name
    assert long_lived.inside(name, "whoami") == debian["user"]
    assert long_lived.inside(name, "sudo id -u") == "0"
    assert f"inet {debian['address']}/" in long_lived.inside(name, "ip -4 address show")
    root_bytes = int(long_lived.inside(name, "df --output=size -B1 / | tail -n 1"))
    assert root_bytes > 0.9 * (DISK_GIB << 30)
    assert_agree(long_lived)
    long_lived.told("vm", "shut-down", name, "--wait")
    assert long_lived.vm(name)["observed_state"] == "stopped"
    assert hosts_of(long_lived, debian) == []
