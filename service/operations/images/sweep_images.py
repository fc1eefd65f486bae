"""Periodic removal of expired uploads, orphaned files and unused retired images."""

from __future__ import annotations

from service.context import Context
from service.db.engine.database import transaction
from service.db.tables import Upload
from service.errors import ConflictError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations.images import delete_image, files, uploads


def run(ctx: Context, job: Job) -> None:
    """Run each part; all are idempotent, and what fails is retried by the next round."""
    del job
    for upload in list(Upload.select().where(Upload.expires_at < ctx.clock.now())):
        _expire(ctx, upload)
    files.sweep(ctx)
    delete_image.remove_retired(ctx)


def _expire(ctx: Context, upload: Upload) -> None:
    try:
        with transaction(ctx.db):
            uploads.remove(ctx, upload)
    except ConflictError:  # a piece is being received, which also extends the expiry
        return


OPERATION = Operation(kind="sweep_images", run=run, steps_version=1)
