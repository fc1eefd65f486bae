"""A PostgreSQL server for the tests: of Debian's package, on a socket in a folder of its own, gone with the tests."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))[-1]
# Processes die in the tests, not the computer.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
SMALL = {"shared_buffers": "32MB", "max_connections": "120", "listen_addresses": "", "log_min_messages": "fatal"}


class Server:
    """A running server. Every database is a copy of another one."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._settings = {**FAST, **SMALL, "unix_socket_directories": str(folder), **settings}
        self._names = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        self._run("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")

    def start(self) -> None:
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        command = self._command("postgres", *settings)
        log = (self._folder / "log").open("ab")
        self._process = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()
        self._wait_until_it_answers()

    def stop(self, how: signal.Signals) -> None:
        """SIGINT: in order; SIGQUIT: at once, as in a crash."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(60)

    def new(self, template: str = "template1") -> str:
        """The URL of a new database. Its files are copied: through the log it would take thrice as long."""
        name = f"t{os.getpid()}_{next(self._names)}"
        self.do(f'CREATE DATABASE {name} TEMPLATE "{template}" STRATEGY FILE_COPY')
        return f"postgresql://postgres@/{name}?host={self._folder}"

    def drop(self, url: str) -> None:
        self.do(f"DROP DATABASE {name_in(url)} WITH (FORCE)")

    def do(self, sql: str) -> None:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(sql)

    @property
    def admin(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._folder}"

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        while self._process.poll() is None:
            answer = subprocess.run([PROGRAMS / "pg_isready", "-q", "-h", self._folder, "-t", "1"], check=False)
            if answer.returncode == 0:
                return
        raise AssertionError((self._folder / "log").read_text())

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(self._command(program, *arguments), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def _command(self, program: str, *arguments: str) -> list[str]:
        """PostgreSQL runs as no root; --pdeathsig: it does not outlive tests that are killed."""
        as_postgres = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
        as_postgres += ["--pdeathsig", "SIGQUIT"]
        return [*as_postgres, str(PROGRAMS / program), "-D", str(self._folder / "data"), *arguments]


def name_in(url: str) -> str:
    """The database's name, from its URL or from a conninfo."""
    return str(conninfo_to_dict(url)["dbname"])


@contextmanager
def server(**settings: str) -> Iterator[Server]:
    """A server that runs. Its folder has a short name: a socket's path may have 107 bytes only."""
    folder = Path(tempfile.mkdtemp(prefix="nacre-pg-"))
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    one = Server(folder, **settings)
    try:
        one.initialise()
        one.start()
        try:
            yield one
        finally:
            one.stop(signal.SIGINT)
    finally:
        shutil.rmtree(folder)
