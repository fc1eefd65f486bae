"""Projects, quotas and audit rows as JSON values."""

from __future__ import annotations

from service.db.tables import Audit, Project, Quota
from service.json_types import JsonObject
from service.views.values import show_named, show_time


def show_project(project: Project) -> JsonObject:
    """A project."""
    return {**show_named(project), "description": project.description, "created_at": show_time(project.created_at)}


def show_quota(quota: Quota) -> JsonObject:
    """A limit of a project, and how much of it is used."""
    return {"resource": quota.resource, "limit": quota.limit, "used": quota.used}


def show_audit(row: Audit) -> JsonObject:
    """An accepted write: actor, object, and the difference."""
    plain = (
        "id", "actor", "source", "reason", "action", "object_kind", "object_id", "object_name", "project_id",
        "request_id", "before", "after", "detail",
    )  # fmt: skip
    return {name: getattr(row, name) for name in plain} | {"created_at": show_time(row.created_at)}
