"""Host groups: their hosts, the projects bound to them, ratios and algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.context import Context
from service.db import queries
from service.db.change_counter import touch, touch_group
from service.db.engine.database import transaction
from service.db.engine.prepared import Parameter, Prepared
from service.db.tables import Host, HostGroup, HostGroupMember, Project, ProjectHostGroup, Row
from service.errors import ConflictError
from service.operations import audit
from service.operations.actor import Actor


def _first_algorithm() -> Any:
    mine = (ProjectHostGroup.project == Parameter("project_id")) & HostGroup.algorithm.is_null(False)
    return HostGroup.select(HostGroup.algorithm).join(ProjectHostGroup).where(mine).order_by(HostGroup.name).limit(1)


FIRST_ALGORITHM = Prepared(HostGroup, _first_algorithm)


def create(ctx: Context, actor: Actor, name: str, description: str) -> HostGroup:
    """Create a group without hosts. Raises ConflictError (`host_group.name_taken`)."""
    with transaction(ctx.db):
        if queries.find(HostGroup, name, actor.scope) is not None:
            raise ConflictError(f"There is a host group '{name}' already.", code="host_group.name_taken")
        group: HostGroup = HostGroup.create(
            id=ctx.ids.uuid(), created_at=ctx.clock.now(), name=name, description=description
        )
        audit.record(ctx, actor, "create_host_group", "host_group", group, after=audit.definition(group))
        return group


def change(ctx: Context, actor: Actor, ref: str, columns: Mapping[str, str | int | None]) -> HostGroup:
    """Change columns of a group.

    They are `description`, `vcpu_ratio_milli`, `memory_ratio_milli` and `algorithm`. A ratio below what is allocated on
    a host is allowed: the host gets no new VM until it fits again.
    """
    with transaction(ctx.db):
        group = queries.get(HostGroup, ref, actor.scope)
        if columns:
            before = audit.definition(group)
            HostGroup.update(**columns).where(HostGroup.id == group.id).execute()
            touch_group(group.id)
            group = queries.by_id(HostGroup, group.id)
            after = audit.definition(group)
            audit.record(ctx, actor, "update_host_group", "host_group", group, before=before, after=after)
        return group


def delete(ctx: Context, actor: Actor, ref: str) -> None:
    """Delete a group.

    Raises ConflictError (`host_group.in_use`) while a project is restricted to it.
    """
    with transaction(ctx.db):
        group = queries.get(HostGroup, ref, actor.scope)
        bound = ProjectHostGroup.select().where(ProjectHostGroup.group == group).count()
        if bound:  # without its last group a project could use every host
            detail = (
                f"{bound} projects are restricted to host group '{group.name}': "
                "revoke it with 'nacre host-group revoke' first."
            )
            raise ConflictError(detail, code="host_group.in_use")
        audit.record(ctx, actor, "delete_host_group", "host_group", group, before=audit.definition(group))
        touch_group(group.id)
        group.delete_instance()


def put_host(ctx: Context, actor: Actor, ref: str, host_ref: str, *, inside: bool) -> HostGroup:
    """Put a host into the group or take it out. Its VMs stay until they are moved."""
    with transaction(ctx.db):
        group, host = queries.get(HostGroup, ref, actor.scope), queries.get(Host, host_ref, actor.scope)
        _relate(HostGroupMember, wanted=inside, group=group, host=host)
        touch([host.id])
        action = "add_host_to_group" if inside else "remove_host_from_group"
        audit.record(ctx, actor, action, "host_group", group, host=host.name)
        return group


def bind(ctx: Context, actor: Actor, project_ref: str, ref: str, *, bound: bool) -> Project:
    """Restrict a project to the group's hosts, or lift that.

    A restricted project may use only the hosts of its groups; one without groups may use every host.
    """
    with transaction(ctx.db):
        project, group = queries.get(Project, project_ref, actor.scope), queries.get(HostGroup, ref, actor.scope)
        _relate(ProjectHostGroup, wanted=bound, project=project, group=group)
        action = "grant_host_group" if bound else "revoke_host_group"
        audit.record(ctx, actor, action, "project", project, host_group=group.name)
        return project


def algorithm_for(project_id: str) -> str | None:
    """Return the placement algorithm of a project's VMs; None for the setting's.

    It is that of the first of its groups, by name, that has one.
    """
    found = FIRST_ALGORITHM.tuples(project_id=project_id)
    return str(found[0][0]) if found else None


def hosts_of(group: HostGroup) -> list[str]:
    """Return the names of the group's hosts."""
    members = HostGroupMember.select(HostGroupMember.host).where(HostGroupMember.group == group)
    return [host.name for host in Host.select().where(Host.id.in_(members)).order_by(Host.name)]


def groups_of(project: Project) -> list[str]:
    """Return the names of the groups that a project is bound to."""
    bound = ProjectHostGroup.select(ProjectHostGroup.group).where(ProjectHostGroup.project == project)
    return [group.name for group in HostGroup.select().where(HostGroup.id.in_(bound)).order_by(HostGroup.name)]


def _relate(table: Any, *, wanted: bool, **keys: Row) -> None:
    """Insert or delete the row with these keys; does nothing if that is done."""
    if wanted:
        table.insert(**keys).on_conflict_ignore().execute()
    else:
        table.delete().where(*(getattr(table, name) == row for name, row in keys.items())).execute()
