"""A process that can die at any moment of the test's choosing, and a database that offers it two moments a commit."""

from peewee import SqliteDatabase


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


class MortalDatabase(SqliteDatabase):
    """The real database in a process that can die just before and just after each commit."""

    doom: Doom

    def commit(self):
        self.doom.moment()
        done = super().commit()
        self.doom.moment()
        return done
