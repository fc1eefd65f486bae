"""Look at every host and write down what is seen, as the answers come.

The hosts that answered last time are asked by a few lanes. One that did not is first knocked at by the hypervisor's
own prober, all such together, and less often the longer it is silent: it costs the others nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from service.context import Context
from service.db.tables import Host
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations.observe import write_observations
from service.operations.observe.observation import Sight, Sights
from service.operations.observe.poll_hosts import look_at
from service.operations.on_host.domain_spec import endpoint

KNOCKS_AT_ONCE = 500
KNOCK_S = 10.0  # after which a round begins with no more of the silent: the others wait for the next round


@dataclass(slots=True)
class _Round:
    """The hosts to look at now."""

    answering: list[Host] = field(default_factory=list)
    silent: list[Host] = field(default_factory=list)  # and due again


def run(ctx: Context, job: Job) -> None:
    """One round. What it has not come to when it ends is the next one's first."""
    began, hosts = ctx.clock.now(), _hosts()
    ctx.hypervisors.keep([endpoint(host) for host in hosts])
    ctx.memory.host_backoff.keep(host.id for host in hosts)
    due = _due(ctx, hosts)
    for sights in look_at(ctx, due.answering):
        write_observations.write(ctx, job, sights, began=began)
    knocking_ends_s = ctx.clock.monotonic() + KNOCK_S
    for first in range(0, len(due.silent), KNOCKS_AT_ONCE):
        if first and ctx.clock.monotonic() >= knocking_ends_s:
            break
        back, still_silent = _knock(ctx, due.silent[first : first + KNOCKS_AT_ONCE])
        write_observations.write(ctx, job, still_silent, began=began)
        for sights in look_at(ctx, back):
            write_observations.write(ctx, job, sights, began=began)


OPERATION = Operation(kind="observe_hosts", run=run, steps_version=1)


def _hosts() -> list[Host]:
    """Who was not seen for longest comes first."""
    columns = (Host.id, Host.name, Host.address, Host.problem, Host.observed_at)
    return list(Host.select(*columns).order_by(Host.observed_at, Host.name))


def _due(ctx: Context, hosts: list[Host]) -> _Round:
    due, now_s = _Round(), ctx.clock.monotonic()
    for host in hosts:
        known = ctx.memory.host_backoff.of(host.id)
        if host.problem is None and not known.silences:
            due.answering.append(host)
        elif now_s >= known.again_s:
            due.silent.append(host)
    due.silent.sort(key=lambda host: ctx.memory.host_backoff.of(host.id).again_s)  # those that have waited for longest
    return due


def _knock(ctx: Context, hosts: list[Host]) -> tuple[list[Host], Sights]:
    """Who of these is back, and the others with what is wrong."""
    asked_at, troubles = ctx.clock.now(), ctx.hypervisors.reach([endpoint(host) for host in hosts])
    answers = [(host, troubles[endpoint(host)]) for host in hosts]
    back = [host for host, trouble in answers if trouble is None]
    return back, [(host.id, Sight(asked_at, None, trouble)) for host, trouble in answers if trouble is not None]
