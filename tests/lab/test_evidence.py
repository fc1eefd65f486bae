"""The hook that keeps what is needed to understand a failed lab test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from lab.spec import CHECKOUT
from tests.lab import evidence
from tests.lab.agreement import hosts_of
from tests.lab.cloud import Cloud

FAILING = "def test_that_fails():\n    assert 1 == 2\n"


def run_a_failing_test(folder: Path) -> str:
    """In a session of its own; returns what pytest printed."""
    (folder / "test_made_to_fail.py").write_text(FAILING)
    options = ["-p", "tests.lab.evidence", "-p", "no:cacheprovider", "--rootdir", str(folder), "-c", "/dev/null"]
    command = [sys.executable, "-m", "pytest", *options, str(folder / "test_made_to_fail.py")]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False).stdout


def test_a_failed_test_keeps_hosts_ceph_jobs_and_logs(cloud: Cloud, tmp_path: Path) -> None:
    vm = cloud.vm(cloud.create())
    (host,) = hosts_of(cloud, vm)
    test = "test_made_to_fail-test_that_fails"
    printed = run_a_failing_test(tmp_path)
    assert "1 failed" in printed
    kept = evidence.folder_of(cloud.lab.spec, test)
    assert "assert 1 == 2" in (kept / "failure-call.txt").read_text()
    assert vm["id"] in (kept / host / f"{vm['id']}.xml").read_text()
    assert "qemu-system-x86_64" in (kept / host / f"vm-{vm['id']}.log").read_text()
    assert (kept / host / f"vm-{vm['id']}.serial.log").exists()
    assert "libvirtd" in (kept / host / "libvirtd-journal.txt").read_text()
    assert "mon:" in (kept / "ceph-s.txt").read_text()
    assert "HEALTH" in (kept / "ceph-health-detail.txt").read_text()
    jobs = json.loads((kept / "jobs.json").read_text())
    assert "create_vm" in {job["kind"] for job in jobs}
    rounds = json.loads((kept / "rounds.json").read_text())
    assert "observe_hosts" in {job["kind"] for job in rounds}
    assert (kept / "worker.log").stat().st_size > 0
    assert (kept / "api.log").exists()
    evidence.forget(kept)
