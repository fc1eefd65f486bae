"""Numbers of jobs, hosts and VMs for Prometheus, each by one grouped query."""

from __future__ import annotations

from typing import cast

from peewee import fn

from service.db.engine.sql_types import Tuples, Value
from service.db.tables import Host, Tally, Vm
from service.jobs.job_tables import Job
from service.jobs.queue import UNFINISHED

Counted = list[tuple[tuple[str, ...], int]]


def ended_jobs() -> list[tuple[str, str, int, int]]:
    """Return (kind, state, count, total ms from request to end) of ended jobs."""
    return [(row.kind, row.state, row.count, row.ms) for row in Tally.select().order_by(Tally.id)]


def unfinished_jobs() -> Counted:
    """Return ((kind, state), count)."""
    return _grouped(
        Job.select(Job.kind, Job.state, fn.COUNT(Job.id)).where(Job.state.in_(UNFINISHED)), Job.kind, Job.state
    )


def hosts() -> Counted:
    """Return ((state, "yes" if it is reachable else "no"), count)."""
    reachable = Host.problem.is_null()
    rows = cast(
        "Tuples", Host.select(Host.state, reachable, fn.COUNT(Host.id)).group_by(Host.state, reachable).tuples()
    )
    return [((state, "yes" if answers else "no"), count) for state, answers, count in rows]


def vms() -> Counted:
    """Return ((desired state, observed state), count)."""
    desired, observed = Vm.desired_state, Vm.observed_state
    return _grouped(Vm.select(desired, observed, fn.COUNT(Vm.id)), desired, observed)


def _grouped(query: Value, *columns: Value) -> Counted:
    return [(tuple(labels), count) for *labels, count in query.group_by(*columns).order_by(*columns).tuples()]
