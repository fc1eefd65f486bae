"""Images and uploads as JSON values."""

from __future__ import annotations

from service.db.tables import Image, Upload
from service.json_types import JsonObject
from service.views.values import show_named, show_time


def show_image(row: Image) -> JsonObject:
    """An image."""
    return {
        **show_named(row),
        "project_id": row.project_id,
        "state": row.state,
        "kind": row.kind,
        "format": row.format,
        "compression": row.compression,
        "size_bytes": row.size_bytes,
        "min_disk_bytes": row.min_disk_bytes,
        "sha256": row.sha256,
        "raw_sha256": row.raw_sha256,
        "source": row.source,
        "default_user": row.default_user,
        "labels": row.labels,
        "visibility": row.visibility,
        "pool": row.pool,
        "created_at": show_time(row.created_at),
    }


def show_upload(row: Upload, offset: int) -> JsonObject:
    """An upload, of which `offset` bytes are here."""
    return {
        **show_named(row),
        "project_id": row.project_id,
        "format": row.image["format"],
        "compression": row.image["compression"],
        "sha256": row.image["sha256"],
        "size_bytes": row.size_bytes,
        "offset": offset,
        "job_id": row.job_id,
        "created_by": row.created_by,
        "created_at": show_time(row.created_at),
        "expires_at": show_time(row.expires_at),
    }
