"""Flavors and guest networks, for all projects."""

from __future__ import annotations

from peewee import BigIntegerField, CharField, IntegerField

from service.db.engine.database import JsonField
from service.db.tables.base import Row


class Flavor(Row):
    """A size of VM. The maxima limit hot-plugging."""

    name = CharField(unique=True, max_length=63)
    vcpus = IntegerField()
    max_vcpus = IntegerField()
    memory_mib = IntegerField()
    max_memory_mib = IntegerField()
    disk_bytes = BigIntegerField()


class Network(Row):
    """A guest network: a bridge of every host, with addresses to assign."""

    name = CharField(unique=True, max_length=63)
    bridge = CharField(max_length=15)
    cidr = CharField(max_length=43)
    gateway = CharField(null=True, max_length=45)
    first_address = CharField(max_length=45)
    last_address = CharField(max_length=45)
    dns = JsonField()


TABLES = (
    Flavor,
    Network,
)
