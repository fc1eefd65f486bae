"""Opening of the database of measurements, and its tables."""

from __future__ import annotations

from service.db.engine.database import Database, bind, open_database, transaction
from service.db.measurements.tables import SHAPE, TABLES, Shape

EARLIER = ("sample",)  # tables of earlier shapes that have no successor


def open_measurements(url: str) -> Database:
    """Return the database, not connected yet."""
    db = open_database(url)
    bind(db, TABLES)
    return db


def prepare(db: Database) -> None:
    """Create missing tables; those of another version are dropped."""
    with transaction(db):
        there = set(db.get_tables())
        if Shape._meta.table_name in there and Shape.select().where(Shape.number == SHAPE).exists():
            return
        for name in sorted(there & {*EARLIER, *(table._meta.table_name for table in TABLES)}):
            db.execute_sql(f'DROP TABLE "{name}"')  # type: ignore[no-untyped-call]
        db.create_tables(TABLES)
        Shape.create(number=SHAPE)
