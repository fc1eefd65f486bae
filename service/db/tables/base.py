"""What all tables have in common."""

from __future__ import annotations

from peewee import CharField

from service.db.engine.database import BaseModel, UtcField


class Row(BaseModel):
    """Every object people know has an id, and the time it was made."""

    id = CharField(primary_key=True, max_length=36)
    created_at = UtcField()

    class Meta:
        abstract = True
