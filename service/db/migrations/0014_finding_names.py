"""Findings of a host's check have members `detail` and `fix` (before: `told` and `mend`)."""

from __future__ import annotations

import json
from typing import Any, cast

from peewee import CharField, Model, TextField
from peewee import Database as AnyDatabase
from playhouse.migrate import SchemaMigrator

NAMES = {"told": "detail", "mend": "fix"}


def up(migrator: SchemaMigrator, db: AnyDatabase) -> None:
    """Rename the members in hosts, and in results of jobs and steps that list findings."""
    del migrator

    class Host(Model):
        id = CharField(primary_key=True, max_length=36)
        findings = TextField(null=True)

        class Meta:
            database = db
            table_name = "host"

    class Job(Model):
        id = CharField(primary_key=True, max_length=36)
        kind = CharField()
        result = TextField(null=True)

        class Meta:
            database = db
            table_name = "job"

    class JobStep(Model):
        job_id = CharField()
        result = TextField(null=True)

        class Meta:
            database = db
            table_name = "job_step"

    _rewrite(Host, cast(TextField, Host.findings))
    checks = [row.id for row in Job.select(Job.id).where(cast(CharField, Job.kind).in_(("add_host", "check_host")))]
    _rewrite(Job, cast(TextField, Job.result), Job.id.in_(checks))
    _rewrite(JobStep, cast(TextField, JobStep.result), cast(CharField, JobStep.job_id).in_(checks))


def _rewrite(table: type[Model], column: TextField, *only: Any) -> None:
    key = cast(Any, table)._meta.primary_key
    for row_id, text in list(cast(Any, table.select(key, column).where(column.is_null(False), *only).tuples())):
        value = json.dumps(_renamed(json.loads(text)), sort_keys=True, separators=(",", ":"))
        table.update({column: value}).where(key == row_id).execute()


def _renamed(value: Any) -> Any:
    """Return the JSON data with the members of findings renamed at any depth."""
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    if not isinstance(value, dict):
        return value
    is_finding = {"check", "verdict", *NAMES} <= value.keys()
    return {NAMES.get(name, name) if is_finding else name: _renamed(item) for name, item in value.items()}
