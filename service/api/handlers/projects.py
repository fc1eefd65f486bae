"""Handlers for projects, their members and quotas, and the audit."""

from __future__ import annotations

from service.api.models.people import CreateProject, ListAudit, SetQuota, UpdateProject
from service.db import people, queries, quotas
from service.db.tables import Audit, Project
from service.edge.call import Call, Reply
from service.edge.models import ListNamed
from service.edge.paging import each, equal, named, page
from service.operations.people import projects
from service.views.projects import show_audit, show_project, show_quota
from service.views.values import show_named

FILTERS = ("actor", "action", "object_kind", "object_id", "object_name", "request_id")


def list_(call: Call[None, ListNamed]) -> Reply:
    """List projects that the caller may see."""
    found = equal(call, queries.readable(Project, call.actor.scope), name=Project.name)
    return named(call, found, Project, each(show_project))


def show(call: Call) -> Reply:
    """Show a project with its quotas, host groups and members."""
    project = queries.get(Project, call.ref, call.actor.scope)
    groups, members = people.host_groups_of(project.id), people.members_of(project.id)
    return Reply(
        {
            **show_project(project),
            "quotas": [show_quota(quota) for quota in quotas.of_project(project.id)],
            "host_groups": [show_named(group) for group in groups],
            "members": [show_named(member) for member in members],
        }
    )


def create(call: Call[CreateProject]) -> Reply:
    """Create a project."""
    body = call.body
    new = projects.NewProject(name=body.name, description=body.description, quotas=body.quotas)
    return Reply(show_project(projects.create(call.ctx, call.actor, new)), status=201)


def update(call: Call[UpdateProject]) -> Reply:
    """Update a project's name or description."""
    body = call.body
    changed = projects.change(call.ctx, call.actor, call.ref, name=body.name, description=body.description)
    return Reply(show_project(changed))


def delete(call: Call) -> Reply:
    """Delete a project that owns nothing."""
    projects.delete(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)


def add_member(call: Call) -> Reply:
    """Add a user to a project."""
    projects.add_member(call.ctx, call.actor, call.ref, call.params["user"])
    return Reply(None, status=204)


def remove_member(call: Call) -> Reply:
    """Remove a user from a project."""
    projects.remove_member(call.ctx, call.actor, call.ref, call.params["user"])
    return Reply(None, status=204)


def list_quotas(call: Call) -> Reply:
    """List a project's quotas with their usage."""
    project = queries.get(Project, call.ref, call.actor.scope)
    return Reply({"items": [show_quota(quota) for quota in quotas.of_project(project.id)]})


def set_quota(call: Call[SetQuota]) -> Reply:
    """Set a project's quota of a resource; existing objects are kept."""
    body = call.body
    return Reply(show_quota(projects.set_quota(call.ctx, call.actor, call.ref, call.params["resource"], body.limit)))


def list_audit(call: Call[None, ListAudit]) -> Reply:
    """List audit entries, newest first.

    Admins see all entries, other users those of their projects and their own.
    """
    query = people.readable_audit(call.actor.name, call.actor.role, call.actor.scope)
    query = equal(call, query, **{name: getattr(Audit, name) for name in FILTERS})
    return page(call, query, key=Audit.id, sorts={"created_at": Audit.created_at}, show=each(show_audit))
