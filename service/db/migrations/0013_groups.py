"""Placement groups: VMs that must run on one host, or on different ones."""

from __future__ import annotations

from peewee import BigIntegerField, BooleanField, CharField, CompositeKey, ForeignKeyField, Model
from peewee import Database as AnyDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: AnyDatabase) -> None:
    """Add the tables."""
    del migrator

    class Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Project(Table):
        id = CharField(primary_key=True, max_length=36)

    class Vm(Table):
        id = CharField(primary_key=True, max_length=36)

    class PlacementGroup(Table):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        name = CharField(max_length=63)
        project = ForeignKeyField(Project, on_delete="RESTRICT")
        kind = CharField(max_length=16)
        hard = BooleanField(default=True)

        class Meta:
            indexes = ((("project", "name"), True), (("name", "id"), False), (("created_at", "id"), False))

    class PlacementGroupMember(Table):
        group = ForeignKeyField(PlacementGroup, on_delete="CASCADE")
        vm = ForeignKeyField(Vm, on_delete="CASCADE")

        class Meta:
            primary_key = CompositeKey("group", "vm")

    db.create_tables([PlacementGroup, PlacementGroupMember], safe=False)
