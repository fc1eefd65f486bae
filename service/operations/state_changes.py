"""State changes of VMs and hosts, each with an audit row and an event.

Requests are audited where they are accepted; this module audits their outcome and observations.
"""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.tables import Host, Vm
from service.json_types import Json
from service.operations import audit
from service.operations.actor import SERVICE

VM_STATE = ("desired_state", "observed_state", "host_id")


def change_vm(ctx: Context, vm_id: str, **columns: Json) -> None:
    """Set columns of the VM, among them its state, inside the caller's transaction.

    Does nothing when the VM is gone.
    """
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


def host_observed(ctx: Context, host: Host, *, problem: str | None, facts: Json) -> None:
    """Audit an observation that changes a host's state; the caller writes it.

    State changes are: unreachable, reachable again, unexpected domains. `host` is the row before the change.
    """
    if (host.problem is None) != (problem is None):
        detail = {"state": host.state, "reachable": problem is None, "problem": problem}
        audit.record(ctx, SERVICE, "host_state", "host", host, **detail)
    known, seen = _strays(host.facts), _strays(facts)
    if known != seen:
        audit.record(ctx, SERVICE, "host_strays", "host", host, before=known, after=seen, strays=seen)


def _strays(facts: Json) -> list[Json]:
    return list((facts or {}).get("strays", ()))
