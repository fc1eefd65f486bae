"""Handlers for images."""

from __future__ import annotations

from service.api.models.images import CreateImage, CreateUpload, ListImages, UpdateImage
from service.db import queries
from service.db.tables import Image
from service.edge import paging
from service.edge.call import Accepted, AnyCall, Call, Reply
from service.edge.models import GIB
from service.operations.images import change_image, delete_image, import_image, share_image
from service.operations.images.definition import NewImage
from service.views.images import show_image


def described(body: CreateImage | CreateUpload) -> NewImage:
    """Return the image that a body describes; an ISO has no default user."""
    return NewImage(
        name=body.name,
        format=body.format,
        compression=body.compression,
        default_user=None if body.format == "iso" else body.default_user,
        sha256=body.sha256,
        labels=body.labels,
        visibility=body.visibility,
        min_disk_bytes=body.min_disk_gib * GIB,
        pool=body.pool,
    )


def list_(call: Call[None, ListImages]) -> Reply:
    """List images that the caller may use."""
    found = queries.readable(Image, call.actor.scope)
    columns = {"name": Image.name, "state": Image.state, "kind": Image.kind, "visibility": Image.visibility}
    return paging.named(call, paging.equal(call, found, **columns), Image, paging.each(show_image))


def show(call: Call) -> Reply:
    """Show an image."""
    return _in_full(call, queries.get(Image, call.ref, call.actor.scope))


def create(call: Call[CreateImage]) -> Accepted:
    """Import an image from a URL, or from a file on the server."""
    body = call.body
    new = described(body)
    if body.path is not None:
        return Accepted(import_image.request_from_server(call.ctx, call.actor, new, body.path))
    return Accepted(import_image.request_from_url(call.ctx, call.actor, new, body.url or ""))


def update(call: Call[UpdateImage]) -> Reply:
    """Update an image's name, labels, user, minimum disk size or visibility."""
    body = call.body
    return _in_full(call, change_image.change(call.ctx, call.actor, call.ref, body.columns()))


def delete(call: Call) -> Accepted:
    """Delete an image; VMs cloned from it are kept."""
    return Accepted(delete_image.request(call.ctx, call.actor, call.ref))


def share(call: Call) -> Reply:
    """Share an image with another project."""
    share_image.share(call.ctx, call.actor, call.ref, call.params["project"])
    return Reply(None, 204)


def unshare(call: Call) -> Reply:
    """Unshare an image from another project; that project's VMs are kept."""
    share_image.unshare(call.ctx, call.actor, call.ref, call.params["project"])
    return Reply(None, 204)


def _in_full(call: AnyCall, row: Image) -> Reply:
    ours = call.actor.scope.sees(row.project_id)
    return Reply({**show_image(row), "shared_with": share_image.shared_with(row) if ours else []})
