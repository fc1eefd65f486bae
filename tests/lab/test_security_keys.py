"""What the cluster's keys are good for, and where they are not to be found."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.command import attempt
from lab.health import client_arguments
from lab.machine import Machine
from lab.service import token_file
from tests.lab.agreement import hosts_of
from tests.lab.cloud import Cloud
from tests.lab.whole_lab import WholeLab, ceph_command

DENIED = "access denied|EACCES|Permission denied|Operation not permitted"
CEPHX_KEY = re.compile(r"^\s*key\s*=\s*(\S+)", re.MULTILINE)
FOREIGN = "not-a-hosts-to-remove"


def assert_denied(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode != 0
    assert re.search(DENIED, done.stdout + done.stderr), done.stderr


def as_host(machine: Machine, *words: str) -> subprocess.CompletedProcess[str]:
    """A Ceph program on a host, under the cephx user that QEMU has there."""
    program, *arguments = words
    user = f"client.host-{machine.spec.name}"
    who = ["--name", user, "--keyring", f"/etc/ceph/ceph.{user}.keyring"]
    return machine.attempt(["timeout", "30", program, *who, *arguments])


def test_a_hosts_user_reads_images_and_cannot_make_or_remove_one(lab: WholeLab) -> None:
    host1 = lab.machine("host1")
    rbd = ["rbd", *client_arguments(lab.spec)]
    assert attempt([*rbd, "create", f"images/{FOREIGN}", "--size", "1M"]).returncode == 0
    try:
        assert as_host(host1, "rbd", "info", f"images/{FOREIGN}").returncode == 0
        assert_denied(as_host(host1, "rbd", "rm", f"images/{FOREIGN}"))
        assert_denied(as_host(host1, "rbd", "create", f"images/{FOREIGN}-too", "--size", "1M"))
        assert as_host(host1, "rbd", "info", f"images/{FOREIGN}").returncode == 0
    finally:
        attempt([*rbd, "rm", "--no-progress", f"images/{FOREIGN}"])


def test_a_hosts_user_cannot_read_other_users_keys(lab: WholeLab) -> None:
    for machine in lab.machines:
        assert_denied(as_host(machine, "ceph", "auth", "ls"))


def test_the_control_planes_user_cannot_read_keys_or_remove_pools(lab: WholeLab) -> None:
    assert_denied(attempt(ceph_command(lab.spec, "auth", "ls")))
    removal = ("osd", "pool", "rm", "vms", "vms", "--yes-i-really-really-mean-it")
    assert_denied(attempt(ceph_command(lab.spec, *removal)))
    assert_denied(attempt(ceph_command(lab.spec, "config", "set", "mon", "mon_allow_pool_delete", "true")))


def test_no_machine_has_a_keyring_of_the_administrator(lab: WholeLab) -> None:
    for machine in lab.machines:
        assert "admin" not in machine.run(["find", "/etc/ceph", "-type", "f"])
        found = machine.attempt(
            ["grep", "-rl", "--include=*keyring*", "client.admin", "/etc/ceph", "/root", "/var/lib"]
        )
        assert found.stdout == ""


def test_keyrings_and_private_keys_are_for_their_owner_only(lab: WholeLab) -> None:
    for machine in lab.machines:
        open_to_all = ["-perm", "/o+rwx", "-type", "f"]
        private = ["(", "-name", "*keyring*", "-o", "-name", "*key.pem", ")"]
        folders = ["/etc/ceph", "/etc/pki", "/etc/nacre", "/var/lib/ceph"]
        assert machine.run(["find", *folders, *private, *open_to_all]) == ""
    control = lab.spec.folder / "control"
    for secret in (token_file(lab.spec), control / "pki/clientkey.pem", *control.glob("*.keyring")):
        assert secret.stat().st_mode & 0o077 == 0


@dataclass(frozen=True)
class Secrets:
    """Not shown: a failed test prints its values."""

    values: frozenset[str] = field(repr=False)

    def found_in(self, data: bytes) -> bool:
        """Whether one of them is in there."""
        return any(value.encode() in data for value in self.values)


@pytest.fixture(scope="module")
def secrets(lab: WholeLab) -> Secrets:
    """The API token and every cephx key that lies on the computer or on a machine."""
    texts = [path.read_text() for path in (lab.spec.folder / "control").glob("*.keyring")]
    for machine in lab.machines:
        texts.append(
            machine.run(["find", "/etc/ceph", "/var/lib/ceph", "-name", "*keyring*", "-exec", "cat", "{}", "+"])
        )
    keys = {key for text in texts for key in CEPHX_KEY.findall(text)}
    assert len(keys) >= 1 + 2 * len(lab.machines)  # the control plane's, and of each machine a host's and an OSD's
    return Secrets(frozenset(keys | {token_file(lab.spec).read_text().strip()}))


def assert_none_in(text: str, secrets: Secrets, where: object) -> None:
    assert text.strip(), f"{where} is empty: nothing was proved"
    leaks = secrets.found_in(text.encode())
    assert not leaks, f"a secret is in {where}"


def test_no_secret_is_in_an_argument_list_or_a_domains_xml(cloud: Cloud, secrets: Secrets) -> None:
    vm = cloud.vm(cloud.create())
    (host,) = hosts_of(cloud, vm)
    xml = cloud.lab.machine(host).run(["virsh", "dumpxml", "--security-info", vm["id"]])
    assert_none_in(xml, secrets, "domain XML")
    assert_none_in(attempt(["ps", "-eww", "-o", "args"]).stdout, secrets, "the computer's processes")
    for machine in cloud.lab.machines:
        assert_none_in(machine.run(["ps", "-eww", "-o", "args"]), secrets, machine.spec.name)


def test_no_secret_is_in_a_log(lab: WholeLab, secrets: Secrets) -> None:
    for name in ("deploy", "api", "worker"):
        path = lab.spec.folder / f"logs/{name}.log"
        # The API has nothing to say while nothing goes wrong.
        assert_none_in(path.read_text(errors="replace") or "silent", secrets, path)
    for machine in lab.machines:
        assert_none_in(machine.run(["journalctl", "--no-pager", "-o", "cat"]), secrets, machine.spec.name)
        for log in _logs(machine):
            assert_none_in(log.read_text(errors="replace") or "silent", secrets, log)


def _logs(machine: Machine) -> list[Path]:
    upper = machine.spec.folder / "upper/var/log"
    return [*upper.glob("libvirt/**/*.log"), *upper.glob("ceph/*.log")]


def test_libvirt_keeps_no_secret_on_disk(lab: WholeLab, secrets: Secrets) -> None:
    for machine in lab.machines:
        listed = machine.run(["virsh", "--quiet", "secret-list"])
        assert "ceph" in listed
        upper = machine.spec.folder / "upper"  # all that was ever written on the machine's root
        folders = [upper / name for name in ("etc/libvirt", "etc/nacre", "var/lib/libvirt")]
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        assert files
        for path in files:
            assert not secrets.found_in(path.read_bytes()), f"a secret is in {path}"
