"""The lab under test: brought up before anything is collected, taken down at the end by the run that brought it up.

Several runs may share it (tests/lab/turns.py): what is there for all of them goes with the last.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from lab import store
from lab.health import client_arguments
from lab.machine import Machine
from lab.machines import machines
from lab.service import cluster_facts, nacre
from lab.spec import CHECKOUT, LabSpec
from storage.ceph.backend import CephStorage
from storage.refs import ImageRef, VolumeRef
from tests.lab.turns import Turns

WANTED = "NACRE_TEST_LAB" in os.environ
NAME = os.environ.get("NACRE_TEST_LAB", "test")
LAST_STAGE = "control"
# What the service sees of hosts and pools, tests wait for: it looks more often than by default.
SETTINGS = "facts_interval_s = 3\nfacts_max_age_s = 30\n"
IMAGE = "mini"
# The disk of the hypervisor contract's guest: no VM's, so that nobody but that suite uses it.
GUEST_DISK = VolumeRef("vms", "contract-guest")
GUEST_DISK_BYTES = 1 << 30


@dataclass(frozen=True)
class WholeLab:
    """The lab, its machines, and its storage as the control plane's user sees it. `ours`: this run brought it up."""

    spec: LabSpec
    machines: tuple[Machine, ...]
    storage: CephStorage
    turns: Turns
    ours: bool

    def machine(self, name: str) -> Machine:
        """The machine called host1, host2, …"""
        return next(machine for machine in self.machines if machine.spec.name == name)


@functools.cache
def bring_up() -> WholeLab:
    """Have the lab up with its control machine; nothing is done while another run is at work on it.

    Ends the session when that fails.
    """
    folder, was_running = store.BASE / NAME, _is_running()
    turns = Turns(folder / "tests")
    if not (was_running and turns.others_at_work()):
        (folder / "settings.toml").write_text(SETTINGS)
        command = [sys.executable, "-m", "lab", "up", "--lab", NAME, "--control", "--stage", LAST_STAGE]
        if subprocess.run(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, check=False).returncode != 0:
            pytest.exit(f"lab {NAME} did not come up: `{' '.join(command[1:])}` says why", returncode=1)
    remembered = store.load(NAME)
    assert remembered is not None
    spec, ours = remembered.spec, not was_running
    lab = WholeLab(spec, machines(remembered), _storage(spec), turns, ours)
    _tell_the_contract_suites(lab)
    return lab


def take_down() -> None:
    """Undo what bring_up() did, unless LAB_KEEP=1 or another run goes on."""
    lab = bring_up()
    lab.turns.leave()
    is_last = not lab.turns.others_at_work()
    if is_last:
        lab.storage.remove_volume(GUEST_DISK)
    lab.storage.close()
    if is_last and lab.ours and os.environ.get("LAB_KEEP") != "1":
        subprocess.run([sys.executable, "-m", "lab", "down", "--lab", NAME], cwd=CHECKOUT, check=True)


def _is_running() -> bool:
    remembered = store.load(NAME)
    return remembered is not None and all(machine.running for machine in machines(remembered))


def _storage(spec: LabSpec) -> CephStorage:
    control = spec.folder / "control"
    return CephStorage(str(control / "ceph.conf"), str(control / "ceph.client.nacre.keyring"), "client.nacre")


def _tell_the_contract_suites(lab: WholeLab) -> None:
    """What only a running lab knows; the suites read it when they are collected, which is later."""
    hosts = [f"{machine.name}={machine.address}" for machine in lab.spec.machines]
    os.environ["NACRE_TEST_HOSTS"] = ",".join(hosts)
    os.environ["NACRE_TEST_SECRET_UUID"] = cluster_facts(lab.spec)["secret_uuid"]
    os.environ["NACRE_TEST_GUEST_DISK"] = str(GUEST_DISK)
    image = ImageRef("images", f"image-{nacre(lab.spec, 'image', 'show', IMAGE)['id']}")
    lab.storage.clone(image, GUEST_DISK, size_bytes=GUEST_DISK_BYTES, job_id="contract")


def ceph_command(spec: LabSpec, *words: str) -> list[str]:
    """`ceph`, spoken as the control plane's user."""
    return ["timeout", "--kill-after=1", "20", "ceph", *client_arguments(spec), *words]
