"""Every change of a VM's or a host's state passes here: it leaves an audit row, and so an event.

What people ask for is audited where it is accepted; here it is what became of it, and what was seen.
"""

from __future__ import annotations

from typing import Any

from service.context import Context
from service.db import queries
from service.db.tables import Host, Vm
from service.operations import audit
from service.operations.actor import SERVICE

VM_STATE = ("desired_state", "observed_state", "host_id")


def change_vm(ctx: Context, vm_id: str, **columns: Any) -> None:
    """Set columns of the VM, its state among them, inside the caller's transaction. Silent when it is gone."""
    vm = queries.find_by_id(Vm, vm_id)
    if vm is None:
        return
    before = {name: getattr(vm, name) for name in VM_STATE}
    Vm.update(**columns).where(Vm.id == vm_id).execute()
    after = before | {name: columns[name] for name in VM_STATE if name in columns}
    if "host" in columns:
        after["host_id"] = getattr(columns["host"], "id", columns["host"])
    if after != before:
        audit.record(ctx, SERVICE, "vm_state", "vm", vm, before=before, after=after, **after)


def host_observed(ctx: Context, host: Host, *, problem: str | None, facts: Any) -> None:
    """What was observed of a host is written by the caller; that it fell silent, answers again, or has strays is a
    change of its state. `host` is as it was before."""
    if (host.problem is None) != (problem is None):
        detail = {"state": host.state, "reachable": problem is None, "problem": problem}
        audit.record(ctx, SERVICE, "host_state", "host", host, **detail)
    known, seen = _strays(host.facts), _strays(facts)
    if known != seen:
        audit.record(ctx, SERVICE, "host_strays", "host", host, before=known, after=seen, strays=seen)


def _strays(facts: Any) -> list[Any]:
    return list((facts or {}).get("strays", ()))
