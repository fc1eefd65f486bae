"""Results of host checks, uses of pools, and adopted VMs that are read-only."""

from __future__ import annotations

from peewee import BigIntegerField, BooleanField, CharField, TextField
from peewee import Database as AnyDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: AnyDatabase) -> None:
    """Add the columns. Existing pools are named in the settings, which need no mark."""
    del db
    hosts = {
        "libvirt_uuid": CharField(null=True, max_length=36),
        "hardware": TextField(null=True),
        "findings": TextField(null=True),
        "checked_at": BigIntegerField(null=True),
    }
    migrator.migrate(
        *(migrator.add_column("host", name, field) for name, field in hosts.items()),
        migrator.add_column("vm", "managed", BooleanField(default=True)),
        migrator.drop_not_null("nic", "address"),
        migrator.drop_not_null("pool", "facts"),
        migrator.drop_not_null("pool", "observed_at"),
        migrator.add_column("pool", "for_vms", BooleanField(default=False)),
        migrator.add_column("pool", "for_images", BooleanField(default=False)),
    )
