"""Allocated capacity and last change on the host's row; shortened decisions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from peewee import BigIntegerField, CharField, IntegerField, Model, TextField, fn
from peewee import Database as AnyDatabase
from playhouse.migrate import SchemaMigrator

SHOWN = 5


def up(migrator: SchemaMigrator, db: AnyDatabase) -> None:
    """Add the columns and fill them. Old decisions keep their best hosts only."""

    class PlacementVersion(Model):
        id = IntegerField(primary_key=True)
        value = BigIntegerField()
        removed = BigIntegerField()

        class Meta:
            database = db
            table_name = "placement_version"

    db.create_tables([PlacementVersion], safe=False)
    PlacementVersion.insert(id=1, value=0, removed=0).execute()
    _change_hosts(migrator)
    _fill_hosts(db)
    _change_placements(migrator)
    _shorten_placements(db)
    migrator.migrate(migrator.drop_column("placement", "decision"))


def _change_hosts(migrator: SchemaMigrator) -> None:
    columns = {
        "changed": BigIntegerField(default=0),
        "allocated_vcpus": IntegerField(default=0),
        "allocated_memory_mib": IntegerField(default=0),
        "vm_count": IntegerField(default=0),
        "storage": TextField(null=True),
        "storage_observed_at": BigIntegerField(null=True),
        "usage": TextField(null=True),
        "usage_observed_at": BigIntegerField(null=True),
    }
    groups = {
        "vcpu_ratio_milli": IntegerField(null=True),
        "memory_ratio_milli": IntegerField(null=True),
        "algorithm": CharField(null=True, max_length=255),
    }
    migrator.migrate(
        *(migrator.add_column("host", name, field) for name, field in columns.items()),
        migrator.add_index("host", ("changed",)),
        *(migrator.add_column("host_group", name, field) for name, field in groups.items()),
    )


def _fill_hosts(db: AnyDatabase) -> None:
    class Host(Model):
        id = CharField(primary_key=True, max_length=36)
        allocated_vcpus = IntegerField()
        allocated_memory_mib = IntegerField()
        vm_count = IntegerField()

        class Meta:
            database = db
            table_name = "host"

    class Allocation(Model):
        id = CharField(primary_key=True, max_length=36)
        host_id = CharField()
        vcpus = IntegerField()
        memory_mib = IntegerField()

        class Meta:
            database = db
            table_name = "allocation"

    sums = Allocation.select(
        Allocation.host_id, fn.SUM(Allocation.vcpus), fn.SUM(Allocation.memory_mib), fn.COUNT(Allocation.id)
    ).group_by(Allocation.host_id)
    for host_id, vcpus, memory_mib, vms in list(cast(Any, sums.tuples())):
        held = {"allocated_vcpus": vcpus, "allocated_memory_mib": memory_mib, "vm_count": vms}
        Host.update(**held).where(Host.id == host_id).execute()


def _change_placements(migrator: SchemaMigrator) -> None:
    columns = {
        "request": TextField(null=True),
        "algorithm": CharField(default="", max_length=255),
        "policy_hash": CharField(default="", max_length=64),
        "fallback": TextField(null=True),
        "facts_version": BigIntegerField(null=True),
        "journal": CharField(null=True, max_length=36),
        "top": TextField(default="[]"),
        "reasons": TextField(default="{}"),
    }
    migrator.migrate(
        *(migrator.add_column("placement", name, field) for name, field in columns.items()),
        migrator.add_index("placement", ("project_id", "created_at", "id")),
    )


def _shorten_placements(db: AnyDatabase) -> None:
    class Placement(Model):
        id = CharField(primary_key=True, max_length=36)
        decision = TextField()
        algorithm = CharField()
        top = TextField()

        class Meta:
            database = db
            table_name = "placement"

    for (row_id,) in list(cast(Any, Placement.select(Placement.id).tuples())):
        old: Mapping[str, Any] = json.loads(Placement.get_by_id(row_id).decision)
        top = [verdict for verdict in old.get("verdicts", ()) if not verdict["reasons"]][:SHOWN]
        text = json.dumps(top, sort_keys=True, separators=(",", ":"))
        Placement.update(algorithm=old.get("algorithm", ""), top=text).where(Placement.id == row_id).execute()
