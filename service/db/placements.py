"""Stored decisions: shortened, with the number of the facts they were made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from peewee import fn

from service.db.engine.prepared import insert
from service.db.engine.sql_types import Select
from service.db.scope import Scope
from service.db.tables import Placement, Vm
from service.errors import NotFoundError
from service.json_types import Json, JsonObject
from service.placement.facts import VmRequest
from service.placement.place import Decision, Verdict
from service.placement.plain import plain, vm_request

LONGEST_ECHO = 80


@dataclass(frozen=True, slots=True)
class Asked:
    """The VM and project of a decision."""

    vm_id: str
    project_id: str


@dataclass(frozen=True, slots=True)
class FactsVersion:
    """Version of the host table: its number in the journal of a process."""

    journal: str
    number: int


def keep(
    *, row_id: str, now: datetime, asked: Asked, want: VmRequest, decision: Decision, version: FactsVersion
) -> None:
    """Store a decision, inside the transaction that claims its choice."""
    insert(
        Placement,
        id=row_id,
        created_at=now,
        vm_id=asked.vm_id,
        project_id=asked.project_id,
        host_id=decision.chosen.host_id if decision.chosen else None,
        request=plain(want),
        algorithm=decision.algorithm,
        policy_hash=decision.policy_hash,
        fallback=decision.fallback,
        facts_version=version.number,
        journal=version.journal,
        top=[verdict_json(verdict) for verdict in _shown(decision)],
        reasons=dict(decision.reasons),
    )


def _shown(decision: Decision) -> tuple[Verdict, ...]:
    """Return the best verdicts, and the chosen one if it is not among them."""
    chosen = decision.chosen
    return decision.top if chosen is None or chosen in decision.top else (*decision.top, chosen)


def verdict_json(verdict: Verdict) -> JsonObject:
    """Return a verdict as plain data."""
    return {
        "host_id": verdict.host_id,
        "host_name": verdict.host_name,
        "reasons": list(verdict.reasons),
        "score": verdict.score,
        "terms": [list(term) for term in verdict.terms],
    }


def request_of(row: Placement) -> VmRequest | None:
    """Return the request of a decision; None for an old one without it."""
    kept: Mapping[str, Json] | None = row.request
    return vm_request(kept) if kept is not None else None


def readable(scope: Scope) -> Select[Placement]:
    """Return a query of the decisions on VMs of visible projects."""
    seen = scope.owns(Placement)
    return Placement.select() if seen is None else Placement.select().where(seen)


def vm_names(rows: Iterable[Placement]) -> dict[str, str]:
    """Return VM id → name of existing VMs."""
    asked = {row.vm_id for row in rows}
    return {vm.id: vm.name for vm in Vm.select(Vm.id, Vm.name).where(Vm.id.in_(asked))} if asked else {}


def get(row_id: str, scope: Scope) -> Placement:
    """Return one decision in the scope. Raises NotFoundError (`placement.not_found`)."""
    row: Placement | None = readable(scope).where(Placement.id == row_id).first()
    if row is None:
        detail = f"There is no placement '{row_id[:LONGEST_ECHO]}': 'nacre placement list' shows them."
        raise NotFoundError(detail, code="placement.not_found")
    return row


def purge(before: datetime) -> None:
    """Delete decisions from before a time, but the last one of every VM that exists: it explains where the VM is."""
    last = (
        Placement.select(fn.MAX(Placement.created_at)).join(Vm, on=(Vm.id == Placement.vm_id)).group_by(Placement.vm_id)
    )
    gone = Placement.vm_id.not_in(Vm.select(Vm.id))
    Placement.delete().where((Placement.created_at < before) & (gone | Placement.created_at.not_in(last))).execute()
