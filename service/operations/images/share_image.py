"""Share an image with another project, or end that. VMs created from it stay."""

from __future__ import annotations

from service.context import Context
from service.db import people, queries
from service.db.engine.database import transaction
from service.db.scope import EVERYTHING
from service.db.tables import Image, ImageShare, Project
from service.operations import audit
from service.operations.actor import Actor
from service.operations.authorise import authorise


def share(ctx: Context, actor: Actor, ref: str, project_ref: str) -> None:
    """Share the image with a project; a private one becomes shared. May be repeated."""
    with transaction(ctx.db):
        image, project = _both(actor, ref, project_ref)
        ImageShare.insert(image=image.id, project=project.id).on_conflict(
            conflict_target=(ImageShare.image, ImageShare.project), action="IGNORE"
        ).execute()
        if image.visibility == "private":
            Image.update(visibility="shared").where(Image.id == image.id).execute()
        audit.record(ctx, actor, "share_image", "image", image, with_project=project.id)


def unshare(ctx: Context, actor: Actor, ref: str, project_ref: str) -> None:
    """Stop sharing the image with a project; does nothing if it is not shared."""
    with transaction(ctx.db):
        image, project = _both(actor, ref, project_ref)
        both = (ImageShare.image == image.id) & (ImageShare.project == project.id)
        ImageShare.delete().where(both).execute()
        audit.record(ctx, actor, "unshare_image", "image", image, with_project=project.id)


def shared_with(image: Image) -> list[str]:
    """Return the names of the projects that an image is shared with, sorted."""
    shares = ImageShare.select(ImageShare.project).where(ImageShare.image == image.id)
    return [project.name for project in Project.select().where(Project.id.in_(shares)).order_by(Project.name)]


def _both(actor: Actor, ref: str, project_ref: str) -> tuple[Image, Project]:
    image = queries.get(Image, ref, actor.scope)
    authorise(actor, "image:write", image)
    project = queries.find(Project, project_ref, EVERYTHING)
    if project is None or not _knows(actor, project.id):
        raise queries.not_found("project", project_ref)
    return image, project


def _knows(actor: Actor, project_id: str) -> bool:
    """Return True if the actor may share with the project.

    Members may, whatever project the request is for; but not by a limited token, which is valid for one project only.
    """
    ours = people.projects_of(actor.user_id) if actor.user_id and not actor.is_limited else frozenset()
    return actor.scope.sees(project_id) or project_id in ours
