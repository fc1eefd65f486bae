"""Uploads over HTTP: announced by POST, filled by PATCH in pieces of any size; GET tells where to go on."""

from __future__ import annotations

import re
from typing import cast

from service.api.handlers.images import described
from service.api.models.images import CreateUpload
from service.context import Context
from service.db.tables import Upload
from service.edge import paging
from service.edge.call import Call, Reply
from service.errors import FieldError, InvalidError
from service.operations.images import uploads
from service.views.images import show_upload

OFFSET = re.compile(r"0|[1-9][0-9]{0,15}")


def create(call: Call) -> Reply:
    """Announce a file that will be sent."""
    body = cast(CreateUpload, call.body)
    upload = uploads.create(call.ctx, call.actor, described(body), body.size_bytes)
    return _shown(call.ctx, upload, status=201)


def listing(call: Call) -> Reply:
    """All uploads, with how much of each is here."""
    found = paging.equal(call, uploads.readable(call.actor.scope), name=Upload.name)
    return paging.named(call, found, Upload, paging.each(lambda row: show_upload(row, uploads.offset(call.ctx, row))))


def one(call: Call) -> Reply:
    """One upload, with how much of it is here."""
    return _shown(call.ctx, uploads.get(call.actor, call.ref))


def send(call: Call) -> Reply:
    """Send the next piece; with the last one the import begins, and `job_id` names it."""
    at = call.header("Upload-Offset")
    if not OFFSET.fullmatch(at):
        told = "how much of the file is here already, in bytes"
        raise InvalidError(f"Upload-Offset is {told}.", errors=(FieldError("Upload-Offset", told),))
    if call.stream is None or call.stream_bytes is None:
        raise InvalidError("Send the piece as the body, with its Content-Length.", code="request.length_required")
    if call.header("If-Match"):  # what holds until the object is changed would hold for as long as the piece comes
        raise InvalidError("Upload-Offset says all that an If-Match could.", code="request.precondition")
    upload = uploads.receive(call.ctx, call.actor, call.ref, int(at), call.stream, call.stream_bytes)
    return _shown(call.ctx, upload)


def delete(call: Call) -> Reply:
    """Give an upload up."""
    uploads.abandon(call.ctx, call.actor, call.ref)
    return Reply(None, 204)


def _shown(ctx: Context, upload: Upload, status: int = 200) -> Reply:
    offset = uploads.offset(ctx, upload)
    headers = {"Upload-Offset": str(offset)}
    if status == 201:
        headers["Location"] = f"/v1/uploads/{upload.id}"
    return Reply(show_upload(upload, offset), status, headers)
