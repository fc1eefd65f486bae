"""The control plane on a machine of its own, deployed by its role from a wheel: what it does, and what it survives."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import store
from lab.cloud import OSD_MEMORY_MIB
from lab.command import run
from lab.control_plane import PLAYBOOK, url
from lab.deploy import play
from lab.images import build_mini
from lab.inventory import control_inventory_path
from lab.machine import Machine
from lab.machines import all_machines
from lab.service import cluster_facts
from lab.spec import CHECKOUT
from service.cli.client import FINAL_STATES
from tests.lab.patience import DEADLINE_S, eventually
from tests.lab.whole_lab import WholeLab

RELEASES, TOKEN, BACKUPS = "/opt/nacre/releases", "/etc/nacre/admin-token", "/var/backups/nacre"
WORKER, API, CONSOLE = "nacre-worker.service", "nacre-api.service", "nacre-console.service"
HOST, FLAVOR, IMAGE, NETWORK = "host1", "own", "own", "own"
# The other service of this lab gives addresses below these to its guests.
FIRST_ADDRESS, LAST_ADDRESS = 123, 125
NACRE = (sys.executable, "-m", "service.cli.main")
RETURN, ESCAPE = b"\r", b"\x1d"
MOST_EXPOSED = 2.5  # of 10, as systemd counts; "OK" ends at 4.0


@dataclass(frozen=True)
class Plane:
    """The machine, and the `nacre` command that speaks to it."""

    lab: WholeLab
    machine: Machine
    token_file: Path

    def nacre(self, *words: str) -> Any:
        """What a command prints as JSON; it must succeed."""
        return json.loads(self.say(*words, "--output", "json") or "null")

    def say(self, *words: str) -> str:
        """What a command prints; it must succeed."""
        done = subprocess.run(
            [*NACRE, *words],
            env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        """Of a `nacre` command for this API."""
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.lab.spec.folder), "PYTHONPATH": str(CHECKOUT),
            "LC_ALL": "C.UTF-8", "NACRE_URL": url(self.machine.spec), "NACRE_TOKEN_FILE": str(self.token_file),
            "NACRE_SSH_KEY": str(self.lab.spec.folder / "ssh/id_ed25519"),
        }  # fmt: skip

    def names(self, kind: str) -> set[str]:
        return {row["name"] for row in self.nacre(kind, "list")}

    def make_cloud(self) -> None:
        """One host of the lab, and what a VM needs."""
        spec = self.lab.spec
        reserved = str(OSD_MEMORY_MIB * spec.osds_per_host)
        capacity = ["--vcpus", "4", "--memory-mib", "4096", "--reserved-memory-mib", reserved]
        self.nacre("host", "add", str(spec.machines[0].address), "--name", HOST, *capacity)
        if FLAVOR not in self.names("flavor"):
            self.nacre("flavor", "create", FLAVOR, "--vcpus", "1", "--memory-mib", "256", "--disk-gib", "1")
        if NETWORK not in self.names("network"):
            ends = [
                "--first-address",
                str(spec.guests[FIRST_ADDRESS]),
                "--last-address",
                str(spec.guests[LAST_ADDRESS]),
            ]
            bridge = ["--bridge", str(cluster_facts(spec)["guest_bridge"]), "--cidr", str(spec.guests)]
            self.nacre("network", "create", NETWORK, *bridge, *ends, "--gateway", str(spec.guest_gateway))
        self.nacre("image", "upload", IMAGE, str(self.packed_image()), "--wait")

    def packed_image(self) -> Path:
        """The small image as people would bring it, so that it has to be looked at and unpacked."""
        file = self.lab.spec.folder / "own.qcow2"
        run(["qemu-img", "convert", "-O", "qcow2", build_mini.build(), file])
        run(["xz", "--force", "--keep", "-0", file])
        return file.with_name("own.qcow2.xz")

    def clear(self) -> None:
        """Leave the host to the lab's other service, without a trace."""
        for name in self.names("vm"):
            self.nacre("vm", "delete", name, "--yes", "--wait")
        for name in self.names("image"):
            self.nacre("image", "delete", name, "--yes", "--wait")
        for name in self.names("host"):
            self.say("host", "remove", name)

    def active(self) -> str:
        """Id of the release that runs."""
        return self.machine.run(["readlink", "/opt/nacre/venv"]).strip().rpartition("/")[2]

    def main_pid(self, unit: str) -> int:
        return int(self.machine.run(["systemctl", "show", "--property=MainPID", "--value", unit]))


@pytest.fixture(scope="module")
def plane(lab: WholeLab) -> Iterator[Plane]:
    """The control machine, ready to make VMs on one host."""
    remembered = store.load(lab.spec.name)
    assert remembered is not None
    machine = next(m for m in all_machines(remembered) if m.spec == remembered.spec.control_machine)
    token_file = remembered.spec.folder / "control-token"
    token_file.touch(mode=0o600)
    token_file.write_text(machine.run(["cat", TOKEN]))
    made = Plane(lab, machine, token_file)
    made.clear()
    made.make_cloud()
    yield made
    made.clear()


def test_a_vm_is_made_by_the_service_on_its_own_machine(plane: Plane) -> None:
    plane.nacre("vm", "create", "own", "--image", IMAGE, "--flavor", FLAVOR, "--wait")
    vm = plane.nacre("vm", "show", "own")
    assert (vm["observed_state"], vm["host"]) == ("running", HOST)
    assert vm["id"] in plane.lab.machine(HOST).run(["virsh", "--quiet", "list", "--uuid"]).split()


def test_the_console_lets_people_at_a_vms_serial_line(plane: Plane) -> None:
    command = [*NACRE, "vm", "console", "own"]
    with subprocess.Popen(command, env=plane.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as console:
        assert console.stdin is not None
        assert console.stdout is not None
        console.stdin.write(RETURN)
        console.stdin.flush()
        said, _, _ = select.select([console.stdout], [], [], DEADLINE_S)
        console.communicate(ESCAPE, timeout=DEADLINE_S)  # reads on: the guest may be in the middle of a sentence
    assert said
    assert console.returncode == 0


def test_a_killed_worker_is_started_again_and_its_job_ends(plane: Plane) -> None:
    job = plane.nacre("vm", "create", "killed", "--image", IMAGE, "--flavor", FLAVOR)
    before = plane.main_pid(WORKER)
    plane.machine.run(["kill", "-KILL", str(before)])
    end = eventually("the job ends", lambda: ended(plane, job["id"]))
    assert plane.main_pid(WORKER) not in (0, before)
    there = "killed" in plane.names("vm")
    assert there == (end["state"] == "succeeded")


def ended(plane: Plane, job_id: str) -> Any:
    job = plane.nacre("job", "show", job_id)
    return job if job["state"] in FINAL_STATES else None


def test_a_second_run_of_the_playbook_changes_nothing(plane: Plane) -> None:
    spec = plane.lab.spec
    assert ", 0 changed" in f", {play(spec, PLAYBOOK, control_inventory_path(spec), spec.folder / 'logs/control.log')}"


def test_a_release_that_does_not_start_gives_way_to_the_one_before(plane: Plane) -> None:
    before = plane.active()
    broken = f"{RELEASES}/broken"
    plane.machine.run(["cp", "--archive", f"{RELEASES}/{before}", broken])
    worker = plane.machine.run(["find", broken, "-path", "*/service/worker/process.py"]).strip()
    plane.machine.run(["sh", "-c", f"echo 'raise RuntimeError' >{worker}"])
    done = plane.machine.attempt(["/usr/local/sbin/nacre-release", "activate", "broken"])
    plane.machine.run(["rm", "-r", broken])
    assert (done.returncode, plane.active()) == (1, before)
    assert f"{before} runs again" in done.stderr
    assert "own" in plane.names("vm")


def test_a_backup_that_is_restored_brings_back_what_was_there(plane: Plane) -> None:
    machine = plane.machine
    machine.run(["systemctl", "start", "nacre-backup.service"])
    backup = sorted(machine.run(["find", BACKUPS, "-name", "*.backup"]).split())[-1]
    plane.nacre("flavor", "create", "later", "--vcpus", "1", "--memory-mib", "512", "--disk-gib", "1")
    machine.run(["systemctl", "stop", API, WORKER, CONSOLE])
    machine.run(["/usr/local/sbin/nacre-service", "restore", backup])
    machine.run(["systemctl", "start", API, WORKER, CONSOLE])
    machine.run(["/usr/local/sbin/nacre-release", "wait"])
    assert plane.names("flavor") >= {FLAVOR}
    assert "later" not in plane.names("flavor")
    assert "own" in plane.names("vm")


@pytest.mark.parametrize("unit", [API, WORKER, CONSOLE, "nacre-backup.service"])
def test_a_unit_may_do_little_more_than_it_must(plane: Plane, unit: str) -> None:
    threshold = f"--threshold={MOST_EXPOSED * 10:.0f}"
    done = plane.machine.attempt(["systemd-analyze", "security", "--no-pager", threshold, unit])
    assert done.returncode == 0, done.stdout


def test_each_unit_holds_only_the_keys_that_it_needs(plane: Plane) -> None:
    listed = plane.machine.run(["find", "/run/credentials", "-path", "*/nacre-*", "-name", "*key*"]).split()
    held = {(Path(path).parent.name, Path(path).name) for path in listed}
    ceph, libvirt = "ceph.client.nacre.keyring", "clientkey.pem"
    assert held == {(WORKER, ceph), (WORKER, libvirt), (CONSOLE, libvirt)}


def test_the_first_token_is_roots_alone(plane: Plane) -> None:
    told = plane.machine.run(["stat", "--format=%U:%G %a", TOKEN, "/etc/nacre/control/ceph.client.nacre.keyring"])
    assert told.split("\n")[:2] == ["root:root 600"] * 2
