"""Change an image's name, labels, default user, least disk size or visibility."""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Image
from service.json_types import JsonObject
from service.operations import audit
from service.operations.actor import Actor
from service.operations.authorise import authorise
from service.operations.busy import check_idle
from service.operations.images import definition


def change(ctx: Context, actor: Actor, ref: str, changes: JsonObject) -> Image:
    """Change the given columns; return the image.

    Raises ConflictError (`image.name_taken`, `image.busy`).
    """
    with transaction(ctx.db):
        image = queries.get(Image, ref, actor.scope)
        authorise(actor, "image:write", image)
        check_idle("image", image.id, image.name)
        if changes.get("name", image.name) != image.name:
            definition.check_free(changes["name"], image.project_id)
        if changes.get("visibility", image.visibility) != image.visibility:
            definition.check_visibility(actor, changes["visibility"])
        before = audit.definition(image)
        if changes:
            Image.update(**changes).where(Image.id == image.id).execute()
        changed = queries.by_id(Image, image.id)
        audit.record(ctx, actor, "update_image", "image", changed, before=before, after=audit.definition(changed))
        return changed
