"""Columns and kept values name a block device as every storage does, not as Ceph RBD does."""

from __future__ import annotations

import json
from typing import Any

from peewee import AutoField, CharField, Model, TextField
from peewee import Database as AnyDatabase
from playhouse.migrate import SchemaMigrator

OLD, NEW = "rbd_name", "storage_name"


def up(migrator: SchemaMigrator, db: AnyDatabase) -> None:
    """Rename the columns and their indexes, then the fields in what jobs keep, so that running jobs can be resumed."""
    for table in ("image", "volume"):
        migrator.migrate(
            migrator.drop_index(table, f"{table}_{OLD}"),
            migrator.rename_column(table, OLD, NEW),
            migrator.add_index(table, (NEW,), unique=True),
        )
    _rename_in_jobs(db)


def _rename_in_jobs(db: AnyDatabase) -> None:
    class Job(Model):
        id = CharField(primary_key=True, max_length=36)
        args = TextField()
        result = TextField(null=True)

        class Meta:
            database = db
            table_name = "job"

    class JobStep(Model):
        id = AutoField()
        result = TextField(null=True)

        class Meta:
            database = db
            table_name = "job_step"

    class JobUndo(Model):
        id = AutoField()
        args = TextField()

        class Meta:
            database = db
            table_name = "job_undo"

    for table, names in ((Job, ("args", "result")), (JobStep, ("result",)), (JobUndo, ("args",))):
        for name in names:
            _rename_in(table, name)


def _rename_in(table: Any, name: str) -> None:
    column = getattr(table, name)
    for row_id, text in list(table.select(table.id, column).where(column.contains(f'"{OLD}"')).tuples()):
        renamed = json.dumps(_renamed(json.loads(text)), sort_keys=True, separators=(",", ":"))
        table.update({column: renamed}).where(table.id == row_id).execute()


def _renamed(value: Any) -> Any:
    """Return a ref with its new field; a disk of a domain that is to be adopted with a ref in place of two texts."""
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {key: _renamed(item) for key, item in value.items() if key != OLD}
    if OLD not in value:
        return changed
    if "$type" in value:
        return changed | {"name": value[OLD]}
    pool = changed.pop("pool", None)
    return changed | {"volume": None if value[OLD] is None else {"pool": pool, "name": value[OLD]}}
