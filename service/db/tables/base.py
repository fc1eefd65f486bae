"""Base of all tables."""

from __future__ import annotations

from peewee import CharField

from service.db.engine.database import BaseModel, UtcField


class Row(BaseModel):
    """An object that users know: an id and its creation time."""

    id = CharField(primary_key=True, max_length=36)
    created_at = UtcField()

    class Meta:
        abstract = True
