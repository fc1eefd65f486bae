"""Real processes of one control plane on one PostgreSQL: APIs behind gunicorn, workers; storage and hosts are the
test's own twins, which the processes reach through a socket.

`python -m tests.api.processes FOLDER URL api SOCKET` and `… worker WORKER_ID`.
"""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from multiprocessing.managers import BaseManager
from pathlib import Path

from service.api.app import App
from service.context import Context
from service.db import tables
from service.db.engine.database import bind, open_database
from service.db.measurements import open_measurements, prepare
from service.http.server import HttpServer, gunicorn_options
from service.hypervisor.contract import HostEndpoint
from service.hypervisor.memory.memory import MemoryHypervisors
from service.hypervisor.memory.memory_cloud import MemoryCloud
from service.jobs import job_tables
from service.jobs.new_bell import new_bell
from service.logs import set_up_logging
from service.meters import Meters
from service.operations.registry import OPERATIONS
from service.placer.new_placer import new_placer
from service.settings import Settings
from service.worker.loop import Worker
from service.worker.process import run_process
from service.world import SystemClock, SystemIds, SystemThreads
from storage.memory import MemoryStorage
from tests.api.world import SECRET_UUID

KEY = b"for one test"
PATIENCE_S = 60.0  # however slow the computer is


class Twins:
    """What is called here happens in the test's process; how often what was called is counted."""

    def __init__(self, storage: MemoryStorage, hosts: MemoryCloud) -> None:
        self._storage = storage
        self._hypervisors = MemoryHypervisors(hosts)
        self._lock = threading.Lock()
        self.calls: Counter[tuple[str, str]] = Counter()

    def call(self, endpoint: HostEndpoint | None, name: str, args: tuple, kwargs: dict):
        with self._lock:
            self.calls[name, str(args[-1]) if args else ""] += 1
        target = self._storage if endpoint is None else self._hypervisors.on(endpoint)
        return getattr(target, name)(*args, **kwargs)


class Switchboard(BaseManager):
    """The socket."""


def serve(twins: Twins, folder: Path) -> None:
    """Answer calls until the test's process ends."""
    Switchboard.register("twins", callable=lambda: twins, exposed=("call",))
    server = Switchboard(address=str(folder / "twins"), authkey=KEY).get_server()
    threading.Thread(target=server.serve_forever, daemon=True).start()


class Remote:
    """The storage, or one host, on the other side of the socket."""

    def __init__(self, twins, endpoint: HostEndpoint | None = None) -> None:
        self._twins = twins
        self._endpoint = endpoint

    def __getattr__(self, name: str):
        return lambda *args, **kwargs: self._twins.call(self._endpoint, name, args, kwargs)


class RemoteHypervisors:
    """All hosts."""

    def __init__(self, twins) -> None:
        self._twins = twins

    def on(self, endpoint: HostEndpoint) -> Remote:
        return Remote(self._twins, endpoint)


def context(folder: Path, url: str) -> Context:
    Switchboard.register("twins")
    switchboard = Switchboard(address=str(folder / "twins"), authkey=KEY)
    switchboard.connect()
    twins = switchboard.twins()
    settings = Settings(state_dir=folder / "state", database_url=url, ceph_secret_uuid=SECRET_UUID, facts_max_age_s=1e6)
    world = {"clock": SystemClock(), "ids": SystemIds(), "threads": SystemThreads()}
    db = open_database(settings.database, busy_timeout_s=PATIENCE_S, connections=settings.database_connections)
    bind(db, (*tables.TABLES, *job_tables.TABLES))
    measurements = open_measurements(settings.metrics)
    prepare(measurements)
    return Context(
        settings=settings,
        random=random.SystemRandom(),
        db=db,
        bell=new_bell(db, folder / "bell", **world),
        storage=Remote(twins),
        hypervisors=RemoteHypervisors(twins),
        measurements=measurements,
        meters=Meters(),
        placer=new_placer(settings, db, world["ids"]),
        **world,
    )


def main(folder: Path, url: str, part: str, name: str) -> None:
    set_up_logging()
    if part == "api":
        options = gunicorn_options("", 0, threads=64) | {"bind": f"fd://{name}"}
        HttpServer(lambda: App(context(folder, url)), options).run()
    else:
        ctx = context(folder, url)
        run_process(ctx, Worker(ctx, OPERATIONS, worker_id=name), worker_id=name, state_dir=folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
