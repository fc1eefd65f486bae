"""What is kept of the world when a lab test fails: `.lab/<lab>/failures/<test>/`. A plugin as it stands."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from lab import store
from lab.command import attempt
from lab.errors import LabError
from lab.machine import Machine
from lab.machines import all_machines, machines
from lab.service import nacre
from lab.spec import LabSpec
from tests.lab import whole_lab

KEPT_LINES = 3000
CONTROL_JOURNAL = ("journalctl", "--unit", "nacre-*", "--lines", str(KEPT_LINES))
QEMU_LOGS = "var/log/libvirt/qemu"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look around while the test's own VMs are still there."""
    report = yield
    if report.failed:
        keep(f"{item.path.stem}-{item.name}", report.when, report.longreprtext)
    return report


def folder_of_all(spec: LabSpec) -> Path:
    """Where the evidence lies, one folder per failed test."""
    return spec.folder / "failures"


def folder_of(spec: LabSpec, test: str) -> Path:
    """Where the evidence of one failed test lies."""
    return folder_of_all(spec) / re.sub(r"[^\w.-]+", "_", test)


def keep(test: str, when: str, failure: str) -> None:
    """Write down the failure and the state of every host, of Ceph and of the service. What cannot be read says why.

    `when` is the part of the test that failed: setup, call or teardown.
    """
    remembered = store.load(whole_lab.NAME)
    if remembered is None:
        return
    spec = remembered.spec
    folder = folder_of(spec, test)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / f"failure-{when}.txt", lambda: failure)
    for machine in machines(remembered):
        _keep_host(machine, folder / machine.spec.name)
    for machine in all_machines(remembered)[spec.hosts :]:
        _write(folder / "control-journal.txt", lambda machine=machine: machine.run(CONTROL_JOURNAL))  # type: ignore[misc]
    _write(folder / "ceph-s.txt", lambda: _said(whole_lab.ceph_command(spec, "-s")))
    _write(folder / "ceph-health-detail.txt", lambda: _said(whole_lab.ceph_command(spec, "health", "detail")))
    _write(folder / "jobs.json", lambda: _jobs(spec))
    _write(folder / "rounds.json", lambda: _jobs(spec, "--rounds"))
    for log in sorted((spec.folder / "logs").glob("*.log")):
        _write(folder / log.name, lambda log=log: _tail(log))  # type: ignore[misc]


def _jobs(spec: LabSpec, *options: str) -> str:
    return json.dumps(nacre(spec, "job", "list", *options, "--limit", "100"), indent=1)


def _keep_host(machine: Machine, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    _write(folder / "domains.txt", lambda: machine.run(["virsh", "list", "--all"]))
    journal = ["journalctl", "--unit", "libvirtd", "--lines", str(KEPT_LINES)]
    _write(folder / "libvirtd-journal.txt", lambda: machine.run(journal))
    for vm_id in _domains(machine):
        _write(folder / f"{vm_id}.xml", lambda vm_id=vm_id: machine.run(["virsh", "dumpxml", vm_id]))  # type: ignore[misc]
    # QEMU's own logs and the serial logs; from the disk, so that a dead machine's are kept, too.
    for log in sorted((machine.spec.folder / "upper" / QEMU_LOGS).glob("*.log")):
        _write(folder / log.name, lambda log=log: _tail(log))  # type: ignore[misc]


def _domains(machine: Machine) -> list[str]:
    try:
        return machine.run(["virsh", "--quiet", "list", "--all", "--uuid"]).split()
    except LabError:
        return []  # domains.txt tells why


def _said(command: list[str]) -> str:
    done = attempt(command)
    return done.stdout + done.stderr


def _tail(log: Path) -> str:
    return "".join(log.read_text(errors="replace").splitlines(keepends=True)[-KEPT_LINES:])


def _write(path: Path, read: Callable[[], str]) -> None:
    """One piece of evidence; what is broken is the reason to look, so a failure to read is evidence, too."""
    try:
        text = read()
    except (LabError, OSError, ValueError) as error:
        text = f"cannot be read: {error}\n"
    path.write_text(text)


def forget(folder: Path) -> None:
    """Remove evidence: of one test, or all that an earlier run kept."""
    if folder.exists():
        shutil.rmtree(folder)
