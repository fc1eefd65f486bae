"""A process that can die at any moment of the test's choosing, and a database that offers it two moments a commit."""

from service.db.engine.database import BUSY_TIMEOUT_S, PRAGMAS, open_database
from service.db.engine.postgres import PostgresDatabase
from service.db.engine.sqlite import PooledSqlite


class Crash(BaseException):
    """The process dies here."""


class Doom:
    """Counts the moments at which a process can die, and dies at the chosen ones."""

    def __init__(self) -> None:
        self.countdown: list[int] = []
        self.passed = 0

    def moment(self) -> None:
        self.passed += 1
        if self.countdown and self.passed == self.countdown[0]:
            self.countdown.pop(0)
            self.passed = 0
            raise Crash


class Mortal:
    """The real database in a process that can die just before and just after each commit."""

    doom: Doom

    def commit(self):
        self.doom.moment()
        done = super().commit()
        self.doom.moment()
        return done


class MortalDatabase(Mortal, PooledSqlite):
    """SQLite."""


class MortalPostgres(Mortal, PostgresDatabase):
    """PostgreSQL."""


def mortal(url: str, doom: Doom) -> MortalDatabase | MortalPostgres:
    """The database at the URL. It does not wait for the disk: processes die here, not the computer."""
    real = open_database(url)
    if isinstance(real, PostgresDatabase):
        db = MortalPostgres(real._pool)
    else:
        pragmas = {**PRAGMAS, "synchronous": "off"}
        db = MortalDatabase(real.database, busy_timeout_s=BUSY_TIMEOUT_S, pragmas=pragmas)
    db.doom = doom
    return db
