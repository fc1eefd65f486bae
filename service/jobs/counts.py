"""How many there are of what, for Prometheus: each answer is one grouped query."""

from __future__ import annotations

from typing import Any, cast

from peewee import fn

from service.db.tables import Host, Tally, Vm
from service.jobs.job_tables import Job
from service.jobs.queue import UNFINISHED

Counted = list[tuple[tuple[str, ...], int]]


def ended_jobs() -> list[tuple[str, str, int, int]]:
    """(kind, state, how many, milliseconds from request to end in all), of all jobs that ever ended."""
    return [(row.kind, row.state, row.count, row.ms) for row in Tally.select().order_by(Tally.id)]


def unfinished_jobs() -> Counted:
    """((kind, state), how many)."""
    return _grouped(
        Job.select(Job.kind, Job.state, fn.COUNT(Job.id)).where(Job.state.in_(UNFINISHED)), Job.kind, Job.state
    )


def hosts() -> Counted:
    """((state, whether it answers), how many)."""
    answers = Host.problem.is_null()
    rows = cast(Any, Host.select(Host.state, answers, fn.COUNT(Host.id)).group_by(Host.state, answers).tuples())
    return [((state, "yes" if it_does else "no"), count) for state, it_does, count in rows]


def vms() -> Counted:
    """((desired state, observed state), how many)."""
    wanted, seen = Vm.desired_state, Vm.observed_state
    return _grouped(Vm.select(wanted, seen, fn.COUNT(Vm.id)), wanted, seen)


def _grouped(query: Any, *columns: Any) -> Counted:
    return [(tuple(labels), count) for *labels, count in query.group_by(*columns).order_by(*columns).tuples()]
