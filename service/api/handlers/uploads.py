"""Handlers for uploads: POST creates, PATCH sends pieces, GET shows the offset."""

from __future__ import annotations

import re

from service.api.handlers.images import described
from service.api.models.images import CreateUpload, ListUploads
from service.context import Context
from service.db.tables import Upload
from service.edge import paging
from service.edge.call import Call, Reply
from service.errors import FieldError, InvalidError
from service.operations.images import uploads
from service.views.images import show_upload

OFFSET = re.compile(r"0|[1-9][0-9]{0,15}")


def create(call: Call[CreateUpload]) -> Reply:
    """Create an upload for a file that will be sent in pieces."""
    body = call.body
    upload = uploads.create(call.ctx, call.actor, described(body), body.size_bytes)
    return _shown(call.ctx, upload, status=201)


def list_(call: Call[None, ListUploads]) -> Reply:
    """List uploads with the number of bytes received."""
    found = paging.equal(call, uploads.readable(call.actor.scope), name=Upload.name)
    return paging.named(call, found, Upload, paging.each(lambda row: show_upload(row, uploads.offset(call.ctx, row))))


def show(call: Call) -> Reply:
    """Show an upload with the number of bytes received."""
    return _shown(call.ctx, uploads.get(call.actor, call.ref))


def send(call: Call) -> Reply:
    """Send the next piece of an upload.

    The last piece starts the import; `job_id` is its job.
    """
    at = call.header("Upload-Offset")
    if not OFFSET.fullmatch(at):
        rule = "the number of bytes received so far"
        raise InvalidError(f"Upload-Offset must be {rule}.", errors=(FieldError("Upload-Offset", rule),))
    if call.stream is None or call.stream_bytes is None:
        raise InvalidError("Send the piece as the body, with its Content-Length.", code="request.length_required")
    if call.header("If-Match"):  # its transaction would stay open for as long as the piece arrives
        raise InvalidError("Uploads take no If-Match: send Upload-Offset.", code="request.precondition")
    upload = uploads.receive(call.ctx, call.actor, call.ref, int(at), call.stream, call.stream_bytes)
    return _shown(call.ctx, upload)


def abandon(call: Call) -> Reply:
    """Abandon an unfinished upload; its data is deleted."""
    uploads.abandon(call.ctx, call.actor, call.ref)
    return Reply(None, 204)


def _shown(ctx: Context, upload: Upload, status: int = 200) -> Reply:
    offset = uploads.offset(ctx, upload)
    headers = {"Upload-Offset": str(offset)}
    if status == 201:
        headers["Location"] = f"/v1/uploads/{upload.id}"
    return Reply(show_upload(upload, offset), status, headers)
