"""Placement decisions as JSON values."""

from __future__ import annotations

from collections.abc import Sequence

from service.db import placements
from service.db.placements import verdict_json
from service.db.tables import Placement
from service.json_types import JsonObject
from service.placement.place import Decision
from service.views.values import show_time


def show_placement(row: Placement) -> JsonObject:
    """A decision with its explanation."""
    best = next((verdict for verdict in row.top if verdict["host_id"] == row.host_id), None)
    return {
        "id": row.id,
        "vm_id": row.vm_id,
        "created_at": show_time(row.created_at),
        "algorithm": row.algorithm,
        "policy_hash": row.policy_hash or None,
        "fallback": row.fallback,
        "facts": {"journal": row.journal, "number": row.facts_version} if row.journal else None,
        "reasons": row.reasons,
        "chosen": best,
        "verdicts": row.top,
    }


def show_kept_placements(rows: Sequence[Placement]) -> list[JsonObject]:
    """List decisions as they were stored, with the names of VMs that still exist."""
    names = placements.vm_names(rows)
    return [_kept(row, names.get(row.vm_id)) for row in rows]


def _kept(row: Placement, vm: str | None) -> JsonObject:
    return {
        "id": row.id,
        "vm_id": row.vm_id,
        "vm": vm,
        "project_id": row.project_id,
        "host_id": row.host_id,
        "created_at": show_time(row.created_at),
        "request": row.request,
        "facts": {"journal": row.journal, "number": row.facts_version} if row.journal else None,
        "algorithm": row.algorithm,
        "policy_hash": row.policy_hash or None,
        "fallback": row.fallback,
        "chosen": next((verdict for verdict in row.top if verdict["host_id"] == row.host_id), None),
        "verdicts": row.top,
        "reasons": row.reasons,
        "exact": None,
    }


def show_decision(made: Decision) -> JsonObject:
    """A decision that was not stored."""
    return {
        "algorithm": made.algorithm,
        "policy_hash": made.policy_hash,
        "fallback": made.fallback,
        "chosen": verdict_json(made.chosen) if made.chosen else None,
        "verdicts": [verdict_json(verdict) for verdict in made.top],
        "reasons": dict(made.reasons),
    }
