"""Tickets for consoles: each opens one console, once, within seconds."""

from __future__ import annotations

from peewee import CharField

from service.db.engine.database import BaseModel, UtcField


class ConsoleTicket(BaseModel):
    """An unused ticket; using it deletes the row. `id`: SHA-256 of its secret, hex."""

    id = CharField(primary_key=True, max_length=64)
    expires_at = UtcField(index=True)
    vm_id = CharField(max_length=36)  # no reference: the VM may be deleted first
    kind = CharField(max_length=8)  # vnc, serial
    actor = CharField(max_length=63)


TABLES = (ConsoleTicket,)
