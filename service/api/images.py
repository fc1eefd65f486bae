"""Images over HTTP. An upload is one call whose body is the file; the image exists once its bytes were looked at."""

from __future__ import annotations

from typing import cast

from service.api import show
from service.api.call import Accepted, Call, Reply
from service.api.models import CreateImage, UploadImage
from service.db import queries
from service.db.tables import Image
from service.errors import InvalidError
from service.operations import delete_image, import_image, uploads


def listing(_call: Call) -> Reply:
    """All images."""
    return Reply({"items": [show.image(row) for row in queries.everything(Image)]})


def one(call: Call) -> Reply:
    """One image."""
    return Reply(show.image(queries.get(Image, call.ref)))


def create(call: Call) -> Accepted:
    """Import a file that lies on the server."""
    body = cast(CreateImage, call.body)
    new = import_image.NewImage(body.name, body.format, body.default_user, body.sha256)
    return Accepted(import_image.request_from_server(call.ctx, call.actor, new, body.path))


def upload(call: Call) -> Accepted:
    """Import the bytes of the call's body."""
    query = UploadImage.model_validate(dict(call.query))
    new = import_image.NewImage(query.name, query.format, query.default_user, query.sha256)
    if call.stream is None or call.stream_bytes is None:
        raise InvalidError("Send the file as the body, with its Content-Length.", code="request.length_required")
    if call.stream_bytes == 0:
        raise InvalidError("The file is empty: send an image.", code="upload.empty")
    if call.stream_bytes > call.ctx.settings.max_image_bytes:
        raise InvalidError("The file is larger than any image may be.", code="request.too_large")
    import_image.check_name(call.ctx, new.name)
    image_id = call.ctx.ids.uuid()
    with uploads.receiving(call.ctx, call.stream, call.stream_bytes, image_id) as sha256:
        return Accepted(import_image.request_upload(call.ctx, call.actor, new, image_id=image_id, sha256=sha256))


def delete(call: Call) -> Accepted:
    """Delete an image that no VM is a clone of."""
    return Accepted(delete_image.request(call.ctx, call.actor, call.ref))
