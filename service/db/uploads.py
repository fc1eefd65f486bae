"""Sums over uploads."""

from __future__ import annotations

from peewee import fn

from service.db.tables import Image, Upload


def announced_bytes(project_id: str | None = None) -> int:
    """Return the bytes of all uploads that are not imported yet, of one project or of all."""
    pending = Upload.job_id.is_null() | Upload.id.in_(Image.select(Image.id).where(Image.state == "importing"))
    announced = Upload.select(fn.COALESCE(fn.SUM(Upload.size_bytes), 0)).where(pending)
    if project_id is not None:
        announced = announced.where(Upload.project == project_id)
    return int(announced.scalar())
