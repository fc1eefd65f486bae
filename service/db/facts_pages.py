"""Rows of the journal of facts: packed pages of changes, and policies by hash.

They have a database of their own: a full disk or a damaged file stops only the journal. Every function then raises
DatabaseUnavailableError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from peewee import BigIntegerField, BlobField, BooleanField, CharField, CompositeKey, PeeweeException, fn

from service.db.engine.database import BaseModel, Database, UtcField, bind, open_database, transaction, unit_of_work
from service.db.engine.errors import DatabaseLostError


class FactsPage(BaseModel):
    """Packed changes `first` to `last` of a journal; `whole`: all hosts then."""

    journal = CharField(max_length=36)
    first = BigIntegerField()
    last = BigIntegerField()
    whole = BooleanField()
    at = UtcField(index=True)
    body = BlobField()

    class Meta:
        primary_key = CompositeKey("journal", "first", "whole")


class FactsPolicy(BaseModel):
    """Algorithm and weights of a hash that decisions are stored with."""

    hash = CharField(primary_key=True, max_length=64)
    body = BlobField()


TABLES = (FactsPage, FactsPolicy)


@dataclass(frozen=True, slots=True)
class Page:
    """Row of FactsPage without its journal and time."""

    first: int
    last: int
    whole: bool
    body: bytes


def open_journals(url: str) -> Database:
    """Open the database, without connecting to it yet."""
    db = open_database(url)
    bind(db, TABLES)
    return db


def create_tables(db: Database) -> None:
    """Create the tables where they are missing."""
    with _reported(), transaction(db):
        db.create_tables(TABLES, safe=True)


def write(db: Database, journal: str, pages: list[Page], policies: Mapping[str, bytes], now: datetime) -> None:
    """Write pages and policies in one transaction; a policy that is there stays."""
    if not pages and not policies:
        return
    with _reported(), transaction(db):
        for policy_hash, body in policies.items():
            FactsPolicy.insert(hash=policy_hash, body=body).on_conflict_ignore().execute()
        for page in pages:
            columns = {"first": page.first, "last": page.last, "whole": page.whole, "body": page.body}
            FactsPage.insert(journal=journal, at=now, **columns).execute()


def read(db: Database, journal: str, number: int) -> list[Page]:
    """Return the newest whole page up to `number` and all later ones; [] without one."""
    with _reported(), unit_of_work(db):
        before = (FactsPage.journal == journal) & (FactsPage.first <= number)
        start = FactsPage.select(fn.MAX(FactsPage.first)).where(before & FactsPage.whole).scalar()
        if start is None:
            return []
        rows = FactsPage.select().where(before & (FactsPage.first >= start)).order_by(FactsPage.first)
        return [Page(row.first, row.last, row.whole, bytes(row.body)) for row in rows]


def read_policy(db: Database, policy_hash: str) -> bytes | None:
    """Read the policy behind a hash; None when it is not there."""
    with _reported(), unit_of_work(db):
        row = FactsPolicy.get_or_none(FactsPolicy.hash == policy_hash)
        return None if row is None else bytes(row.body)


def purge(db: Database, before: datetime, *, keep_bytes: int) -> None:
    """Delete pages older than a time, then the oldest beyond `keep_bytes`."""
    with _reported(), transaction(db):
        FactsPage.delete().where(FactsPage.at < before).execute()
        size = fn.SUM(fn.LENGTH(FactsPage.body))
        total = FactsPage.select(size).scalar() or 0
        while total > keep_bytes:
            oldest = FactsPage.select(fn.MIN(FactsPage.at))
            total -= FactsPage.select(size).where(FactsPage.at == oldest).scalar()
            FactsPage.delete().where(FactsPage.at == oldest.scalar()).execute()


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except PeeweeException as error:
        raise DatabaseLostError(f"the journal of facts cannot be used: {error}") from error
