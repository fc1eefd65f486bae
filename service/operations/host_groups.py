"""Host groups, and which of them a project may use."""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.database import transaction
from service.db.tables import Host, HostGroup, HostGroupMember, Project, ProjectHostGroup
from service.errors import ConflictError
from service.operations import audit
from service.operations.actor import Actor


def create(ctx: Context, actor: Actor, name: str, description: str) -> HostGroup:
    """A group without hosts. Raises ConflictError (`host_group.name_taken`)."""
    with transaction(ctx.db):
        if queries.find(HostGroup, name, actor.scope) is not None:
            raise ConflictError(f"There is a host group '{name}' already.", code="host_group.name_taken")
        group: HostGroup = HostGroup.create(
            id=ctx.ids.uuid(), created_at=ctx.clock.now(), name=name, description=description
        )
        audit.record(ctx, actor, "create_host_group", "host_group", group)
        return group


def delete(ctx: Context, actor: Actor, ref: str) -> None:
    """Remove a group. Raises ConflictError (`host_group.in_use`) while a project is bound to it."""
    with transaction(ctx.db):
        group = queries.get(HostGroup, ref, actor.scope)
        bound = ProjectHostGroup.select().where(ProjectHostGroup.group == group).count()
        if bound:  # without its last group a project could use every host
            told = f"{bound} projects may use host group '{group.name}' only: free them from it first."
            raise ConflictError(told, code="host_group.in_use")
        audit.record(ctx, actor, "delete_host_group", "host_group", group)
        group.delete_instance()


def add_host(ctx: Context, actor: Actor, ref: str, host_ref: str) -> HostGroup:
    """Put a host into the group; one that is in it stays."""
    with transaction(ctx.db):
        group, host = queries.get(HostGroup, ref, actor.scope), queries.get(Host, host_ref, actor.scope)
        HostGroupMember.insert(group=group, host=host).on_conflict_ignore().execute()
        audit.record(ctx, actor, "add_host_to_group", "host_group", group, host=host.name)
        return group


def remove_host(ctx: Context, actor: Actor, ref: str, host_ref: str) -> HostGroup:
    """Take a host out of the group. VMs that run there stay until they move."""
    with transaction(ctx.db):
        group, host = queries.get(HostGroup, ref, actor.scope), queries.get(Host, host_ref, actor.scope)
        member = (HostGroupMember.group == group) & (HostGroupMember.host == host)
        HostGroupMember.delete().where(member).execute()
        audit.record(ctx, actor, "remove_host_from_group", "host_group", group, host=host.name)
        return group


def allow(ctx: Context, actor: Actor, project_ref: str, ref: str) -> Project:
    """Let a project use the group's hosts; from its first group on it may use no others."""
    with transaction(ctx.db):
        project, group = queries.get(Project, project_ref, actor.scope), queries.get(HostGroup, ref, actor.scope)
        ProjectHostGroup.insert(project=project, group=group).on_conflict_ignore().execute()
        audit.record(ctx, actor, "allow_host_group", "project", project, host_group=group.name)
        return project


def disallow(ctx: Context, actor: Actor, project_ref: str, ref: str) -> Project:
    """Take a group from a project. Without its last one the project may use every host again."""
    with transaction(ctx.db):
        project, group = queries.get(Project, project_ref, actor.scope), queries.get(HostGroup, ref, actor.scope)
        bound = (ProjectHostGroup.project == project) & (ProjectHostGroup.group == group)
        ProjectHostGroup.delete().where(bound).execute()
        audit.record(ctx, actor, "disallow_host_group", "project", project, host_group=group.name)
        return project


def hosts_of(group: HostGroup) -> list[str]:
    """Names of the group's hosts."""
    members = HostGroupMember.select(HostGroupMember.host).where(HostGroupMember.group == group)
    return [host.name for host in Host.select().where(Host.id.in_(members)).order_by(Host.name)]


def groups_of(project: Project) -> list[str]:
    """Names of the groups that a project is bound to."""
    bound = ProjectHostGroup.select(ProjectHostGroup.group).where(ProjectHostGroup.project == project)
    return [group.name for group in HostGroup.select().where(HostGroup.id.in_(bound)).order_by(HostGroup.name)]
