"""Audit: a row per write, with the actor and the definitions before and after."""

from __future__ import annotations

from typing import Any

from service.context import Context
from service.db import events
from service.db.engine.prepared import insert
from service.db.tables import (
    Audit,
    Flavor,
    Host,
    HostGroup,
    Image,
    Network,
    PlacementGroup,
    Pool,
    Project,
    Row,
    Token,
    Upload,
    User,
    Vm,
    Volume,
)
from service.jobs.views import JobView
from service.json_types import Json, JsonObject
from service.operations.actor import Actor

# Columns that users define. No secrets and no observations: an audit is kept for long and read by many.
DEFINED: dict[type[Row], tuple[str, ...]] = {
    Flavor: ("name", "vcpus", "max_vcpus", "memory_mib", "max_memory_mib", "disk_bytes"),
    Host: ("name", "address", "state", "vcpus", "memory_mib", "reserved_vcpus", "reserved_memory_mib", "ceph_user"),
    HostGroup: ("name", "description", "vcpu_ratio_milli", "memory_ratio_milli", "algorithm"),
    Image: ("name", "format", "default_user", "size_bytes", "sha256", "visibility", "labels", "min_disk_bytes"),
    Network: ("name", "bridge", "cidr", "gateway", "first_address", "last_address", "dns"),
    PlacementGroup: ("name", "kind", "hard"),
    Project: ("name", "description"),
    Token: ("name", "user_id", "permissions", "project_id"),
    Upload: ("name", "size_bytes", "image"),
    User: ("name", "role", "disabled"),
    Vm: (
        "name", "description", "tags", "flavor_id", "image_id", "vcpus", "max_vcpus", "memory_mib", "max_memory_mib",
        "desired_state", "host_id", "user", "ssh_keys", "firmware", "chipset", "clock", "video", "boot",
    ),
    Volume: ("name", "role", "vm_id", "target", "bus", "pool", "size_bytes", "image_id"),
}  # fmt: skip


def definition(row: Row) -> dict[str, Json]:
    """Return the definition of the object in `row` as JSON."""
    return {name: getattr(row, name) for name in DEFINED.get(type(row), ())}


def record(
    ctx: Context,
    actor: Actor,
    action: str,
    kind: str,
    row: Row | Pool | JobView,
    *,
    before: Json = None,
    after: Json = None,
    **detail: Any,
) -> None:
    """Add an audit row, inside the caller's transaction.

    `before` and `after` are definitions; None if there was none.
    """
    insert(
        Audit,
        id=ctx.ids.uuid(),
        created_at=ctx.clock.now(),
        actor=actor.name,
        action=action,
        object_kind=kind,
        object_id=row.id,
        object_name=getattr(row, "name", None) or "",
        request_id=actor.request_id,
        detail=detail,
        project_id=_project_of(kind, row),
        source=actor.source,
        reason=actor.reason,
        before=before,
        after=after,
    )
    _record_event(ctx, actor, action, kind, row, detail)


def _project_of(kind: str, row: Row | Pool | JobView) -> str | None:
    """Return the project whose members may see the row.

    A token is visible to its user only, even one limited to a project.
    """
    if kind == "token":
        return None
    return row.id if kind == "project" else getattr(row, "project_id", None)


def _record_event(
    ctx: Context, actor: Actor, action: str, kind: str, row: Row | Pool | JobView, detail: JsonObject
) -> None:
    """Record the same as an event, for event streams."""
    events.record(
        ctx.clock.now(),
        action,
        object_kind=kind,
        object_id=row.id,
        project_id=_project_of(kind, row),
        data={"name": getattr(row, "name", None) or "", "actor": actor.name, **detail},
    )
    ctx.bell.ring_at_commit(ctx.db, events.EVENTS)
