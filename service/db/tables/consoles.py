"""Permits for looking at a VM: each opens one console, once, within seconds."""

from __future__ import annotations

from peewee import CharField

from service.db.engine.database import BaseModel, UtcField


class ConsoleTicket(BaseModel):
    """A ticket that nobody has used yet: using it takes the row away. `id` is the SHA-256 of its secret, in hex."""

    id = CharField(primary_key=True, max_length=64)
    expires_at = UtcField(index=True)
    vm_id = CharField(max_length=36)  # no reference: a VM may go first
    kind = CharField(max_length=8)  # vnc, serial
    actor = CharField(max_length=63)


TABLES = (ConsoleTicket,)
