"""Ask hosts what is on them and what they are doing, a few lanes for all of them."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from service.context import Context
from service.db.tables import Host
from service.errors import NacreError
from service.operations.observe.fan_out import Lanes
from service.operations.observe.observation import Answer, Sight, Sights
from service.operations.on_host.domain_spec import endpoint

AT_ONCE = 100
PATIENCE_S = 20.0  # without any answer for so long, hosts still being asked count as unreachable


def look_at(ctx: Context, hosts: list[Host]) -> Iterator[Sights]:
    """What they answer, as it comes; at last those who were asked and have not answered."""
    lanes, left = Lanes(ctx, "observe", functools.partial(_look, ctx)), {host.id: host for host in hosts}
    asked_at = ctx.clock.now()
    for answers in lanes.answers(hosts, at_once=AT_ONCE, patience_s=PATIENCE_S):
        for host, _ in answers:
            del left[host.id]
        yield [(host.id, sight) for host, sight in answers]
    unasked = {host.id for host in lanes.unasked}
    silent = Sight(asked_at, None, f"no answer within {PATIENCE_S:.0f} s")
    yield [(host_id, silent) for host_id in left if host_id not in unasked]


def _look(ctx: Context, host: Host) -> Sight:
    asked_at, asked_s = ctx.clock.now(), ctx.clock.monotonic()
    hypervisor, details_due = (
        ctx.hypervisors.on(endpoint(host)),
        asked_s >= ctx.memory.host_backoff.of(host.id).details_due_s,
    )
    try:
        domains, counters = hypervisor.domains(), hypervisor.counters()
        facts = hypervisor.facts() if details_due else None
    except NacreError as error:
        return Sight(asked_at, None, error.detail)
    return Sight(asked_at, Answer(domains, counters, facts))
