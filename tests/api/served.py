"""The whole control plane in one process behind its real server: `python -m tests.api.served FOLDER SOCKET`.

Storage and hosts are in memory, the clock is real, a worker runs in a thread. The folder gets the admin's token.
"""

import sys
import threading
from pathlib import Path

from service.api.app import App
from service.db.engine.database import open_database
from service.db.engine.migrate import migrate
from service.http.server import HttpServer, gunicorn_options
from service.http.worker import PatientWorker
from service.operations.registry import OPERATIONS
from service.worker.schedule import Periodic, Schedule
from service.world import SystemClock, SystemThreads
from tests.api.world import Cloud


class Ticking(SystemClock):
    """The real clock, with the handle by which a test's steps let time pass."""

    elapsed_s = 0.0


class MorePatient(PatientWorker):
    """Waits for clients longer than any test lasts: one that holds a thread holds it to the end."""

    REQUEST_S = ANSWER_S = LINGER_S = 3600.0


def make_app(folder: Path) -> App:
    """Called in the process that serves."""
    database = folder / "empty.db"
    db = open_database(f"sqlite:///{database}")
    migrate(db)
    db.close_kept()  # all of it is in the one file then
    real = {"clock": Ticking(), "threads": SystemThreads()}
    cloud = Cloud(folder / "cloud", database, max_wait_s=300, **real).make_tokens()
    cloud.furnish()
    kinds = ("observe_hosts", "observe_storage")
    rounds = [Periodic(kind, 5.0, kind, OPERATIONS[kind].steps_version) for kind in kinds]
    cloud.worker = cloud.new_worker("served", slots=4, schedule=Schedule(tuple(rounds)))
    threading.Thread(target=cloud.worker.run, daemon=True).start()
    (folder / "token").write_text(cloud.tokens["admin"])
    return cloud.app


def main() -> None:
    folder, listener = Path(sys.argv[1]), sys.argv[2]
    own = {"bind": f"fd://{listener}", "worker_class": MorePatient}
    HttpServer(lambda: make_app(folder), gunicorn_options("", 0, threads=64) | own).run()


if __name__ == "__main__":
    main()
