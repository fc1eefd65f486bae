"""A host whose libvirtd hangs: told as silent with the reason, no burden to the others, and back by itself.

The rounds are this process's own, with a database of their own: the service in the lab sees the same meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.machine import Machine
from service.bootstrap import build_context, migrate_database
from service.context import Context
from service.db.engine.database import transaction, unit_of_work
from service.db.tables import Host
from service.jobs import queue
from service.operations.registry import OPERATIONS
from service.settings import Settings
from service.worker.loop import Worker
from tests.lab.patience import eventually
from tests.lab.whole_lab import WholeLab

pytestmark = pytest.mark.usefixtures("alone")


class Rounds:
    """Looks at the lab's hosts, one round at a time."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._worker = Worker(ctx, OPERATIONS, worker_id="rounds")

    def look(self) -> dict[str, Host]:
        """The hosts after one round, by name."""
        queue.enqueue(self.ctx, "observe_hosts", actor="test", request_id="-", code_version=1)
        assert self._worker.run_next()
        with unit_of_work(self.ctx.db):
            return {host.name: host for host in Host.select()}

    def look_and_tell(self) -> tuple[dict[str, Host], set[str]]:
        """The same, and the names of those that were seen in this round."""
        began = self.ctx.clock.now()
        hosts = self.look()
        return hosts, {name for name, host in hosts.items() if host.observed_at >= began}


@pytest.fixture
def rounds(lab: WholeLab, tmp_path: Path) -> Iterator[Rounds]:
    settings = Settings(state_dir=tmp_path / "state", libvirt_pki=lab.spec.folder / "control/pki")
    migrate_database(settings)
    ctx = build_context(settings)
    with transaction(ctx.db):
        for machine in lab.machines:
            Host.insert(**_row(ctx, machine)).execute()
    yield Rounds(ctx)
    ctx.hypervisors.close()


def _row(ctx: Context, machine: Machine) -> dict[str, object]:
    size = {"vcpus": 16, "memory_mib": 5120, "reserved_vcpus": 0, "reserved_memory_mib": 0}
    name, address = machine.spec.name, str(machine.spec.address)
    known = {"id": ctx.ids.uuid(), "created_at": ctx.clock.now(), "name": name, "address": address}
    return known | size | {"state": "active", "ceph_user": "", "virt_type": "qemu", "machine": "pc-q35-7.2"}


@pytest.fixture
def hanging(lab: WholeLab) -> Iterator[Machine]:
    """The last host, whose libvirtd goes on at the end in any case."""
    machine = lab.machines[-1]
    yield machine
    _signal(machine, "CONT")


def _signal(machine: Machine, name: str) -> None:
    machine.run(["systemctl", "kill", "--kill-who=main", f"--signal={name}", "libvirtd.service"])


def test_hosts_tell_what_they_are_made_of_and_what_they_do(rounds: Rounds, lab: WholeLab) -> None:
    rounds.look()
    seen = rounds.look()
    assert len(seen) == len(lab.machines)
    for host in seen.values():
        assert host.problem is None
        assert 0 <= host.facts["ceph_cpu"] <= host.facts["cpu_load"] <= 1
        assert 0 < host.facts["memory_used_mib"] <= host.memory_mib
        assert "br-guest" in host.hardware["bridges"]
        assert set(host.hardware["firmwares"]) >= {"bios"}
        assert len(host.hardware["cpu_features"]) > 10
        assert host.changed > 0


def test_a_host_whose_libvirtd_hangs_is_silent_with_its_reason_and_is_back_by_itself(
    rounds: Rounds, hanging: Machine
) -> None:
    silent = hanging.spec.name
    assert {host.problem for host in rounds.look().values()} == {None}
    _signal(hanging, "STOP")
    seen = rounds.look()
    assert "did not answer in 15 s" in seen[silent].problem or "broke" in seen[silent].problem
    threads = []
    for _ in range(3):
        seen, fresh = rounds.look_and_tell()
        threads.append(threading.active_count())
        assert "no answer in time" in seen[silent].problem
        assert fresh == set(seen) - {silent}
    assert max(threads) == threads[0], "a try at it costs a thread"
    _signal(hanging, "CONT")
    back = eventually("the host is back", lambda: rounds.look()[silent].problem is None, within_s=90)
    assert back
    seen, fresh = rounds.look_and_tell()
    assert fresh == set(seen)
