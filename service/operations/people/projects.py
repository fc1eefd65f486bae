"""Create, change and delete projects, their members, hosts and quotas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.context import Context
from service.db import queries, quotas
from service.db.engine.database import transaction
from service.db.tables import Membership, Project, Quota, User
from service.errors import ConflictError, FieldError, InvalidError
from service.operations import audit
from service.operations.actor import Actor


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project to be created. `quotas` maps resources to limits."""

    name: str
    description: str
    quotas: Mapping[str, int]


def create(ctx: Context, actor: Actor, new: NewProject) -> Project:
    """Create the project.

    Raises ConflictError (`project.name_taken`), InvalidError (`quota.unknown_resource`).
    """
    for resource in new.quotas:
        _check_resource(resource)
    with transaction(ctx.db):
        _check_free(new.name)
        project: Project = Project.create(
            id=ctx.ids.uuid(), created_at=ctx.clock.now(), name=new.name, description=new.description
        )
        for resource, limit in new.quotas.items():
            quotas.set_limit(project.id, resource, limit)
        after = {**audit.definition(project), "quotas": dict(new.quotas)}
        audit.record(ctx, actor, "create_project", "project", project, after=after)
        return project


def change(ctx: Context, actor: Actor, ref: str, *, name: str | None, description: str | None) -> Project:
    """Change name or description; None keeps it.

    Raises ConflictError (`project.name_taken`).
    """
    with transaction(ctx.db):
        project = queries.get(Project, ref, actor.scope)
        before = audit.definition(project)
        if name is not None and name != project.name:
            _check_free(name)
            project.name = name
        if description is not None:
            project.description = description
        project.save()
        after = audit.definition(project)
        audit.record(ctx, actor, "update_project", "project", project, before=before, after=after)
        return project


def delete(ctx: Context, actor: Actor, ref: str) -> None:
    """Delete a project that owns nothing. Raises ConflictError (`project.in_use`)."""
    with transaction(ctx.db):
        project = queries.get(Project, ref, actor.scope)
        for key, table in Project._meta.backrefs.items():
            if key.on_delete == "RESTRICT" and table.select().where(key == project.id).exists():
                what = table._meta.table_name
                raise ConflictError(
                    f"Project '{project.name}' still owns something ({what}): delete it.", code="project.in_use"
                )
        audit.record(ctx, actor, "delete_project", "project", project, before=audit.definition(project))
        project.delete_instance()


def add_member(ctx: Context, actor: Actor, ref: str, user_ref: str) -> None:
    """Add a member; does nothing if the user is one already."""
    with transaction(ctx.db):
        project, user = queries.get(Project, ref, actor.scope), queries.get(User, user_ref, actor.scope)
        Membership.insert(user=user, project=project).on_conflict(
            conflict_target=(Membership.user, Membership.project), action="IGNORE"
        ).execute()
        audit.record(ctx, actor, "add_member", "project", project, user=user.name)


def remove_member(ctx: Context, actor: Actor, ref: str, user_ref: str) -> None:
    """Remove a member, effective from the next request; does nothing if it is none."""
    with transaction(ctx.db):
        project, user = queries.get(Project, ref, actor.scope), queries.get(User, user_ref, actor.scope)
        Membership.delete().where((Membership.user == user) & (Membership.project == project)).execute()
        audit.record(ctx, actor, "remove_member", "project", project, user=user.name)


def set_quota(ctx: Context, actor: Actor, ref: str, resource: str, limit: int | None) -> Quota:
    """Limit a resource; None means no limit.

    Raises InvalidError (`quota.unknown_resource`).
    """
    _check_resource(resource)
    with transaction(ctx.db):
        project = queries.get(Project, ref, actor.scope)
        before = next((quota.limit for quota in quotas.of_project(project.id) if quota.resource == resource), None)
        quota = quotas.set_limit(project.id, resource, limit)
        audit.record(ctx, actor, "set_quota", "project", project, before={resource: before}, after={resource: limit})
        return quota


def _check_free(name: str) -> None:
    if Project.select().where(Project.name == name).exists():
        raise ConflictError(f"There is a project '{name}' already.", code="project.name_taken")


def _check_resource(resource: str) -> None:
    pool = resource.removeprefix(quotas.PER_POOL)
    if resource not in quotas.COUNTED and (pool == resource or queries.pool(pool) is None):
        valid = f"one of {', '.join(quotas.COUNTED)} or {quotas.PER_POOL}<pool> of an existing pool"
        raise InvalidError(
            f"A quota's resource is {valid}.", code="quota.unknown_resource", errors=(FieldError("resource", valid),)
        )
