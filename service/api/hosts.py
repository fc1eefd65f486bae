"""Hosts over HTTP."""

from __future__ import annotations

from typing import cast

from service.api import show
from service.api.call import Accepted, Call, Reply
from service.api.models import AddHost
from service.db import queries
from service.db.tables import Host
from service.operations import add_host, remove_host

NOTHING_PROMISED = (0, 0, 0)


def listing(_call: Call) -> Reply:
    """All hosts."""
    promised = queries.allocated()
    rows = queries.everything(Host)
    return Reply({"items": [show.host(row, promised.get(row.id, NOTHING_PROMISED)) for row in rows]})


def one(call: Call) -> Reply:
    """One host."""
    row = queries.get(Host, call.ref)
    return Reply(show.host(row, queries.allocated([row.id]).get(row.id, NOTHING_PROMISED)))


def add(call: Call) -> Accepted:
    """Take a host into the cloud."""
    body = cast(AddHost, call.body)
    new = add_host.NewHost(
        name=body.name,
        address=str(body.address),
        vcpus=body.vcpus,
        memory_mib=body.memory_mib,
        reserved_vcpus=body.reserved_vcpus,
        reserved_memory_mib=body.reserved_memory_mib,
        ceph_user=body.ceph_user or f"host-{body.name}",
    )
    return Accepted(add_host.request(call.ctx, call.actor, new))


def remove(call: Call) -> Reply:
    """Let go of a host that runs no VM."""
    remove_host.remove(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)
