"""The only file that names concrete backends: settings in, a context or a running process out."""

from __future__ import annotations

import logging
import os
import random
import socket
import struct
import sys
from pathlib import Path
from typing import Any

import structlog
from gunicorn.app.base import BaseApplication

from service.api.app import App
from service.context import Context
from service.db import tables
from service.db.database import bind, open_database, unit_of_work
from service.db.migrate import migrate
from service.hypervisor.libvirt_hosts import LibvirtHypervisors
from service.hypervisor.migration_settings import MigrationSettings
from service.jobs import job_tables
from service.jobs.unix_bell import UnixBell
from service.operations import note_event, tokens, uploads
from service.operations.registry import OPERATIONS
from service.settings import Settings
from service.worker.loop import Worker
from service.worker.process import run_process
from service.worker.schedule import Periodic, Schedule
from service.world import SystemClock, SystemIds, SystemThreads
from storage.ceph.backend import CephStorage

PURGE_INTERVAL_S = 300.0
# A client that sends nothing, or takes nothing, for so long is hung up on: each holds one of a fixed number of threads.
CLIENT_SILENCE_S = 30


def build_context(settings: Settings) -> Context:
    """The real world. Nothing is connected yet: a process may fork after this, but not after its first call."""
    os.umask(0o077)  # what is written below is for this service alone
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    clock, ids, threads = SystemClock(), SystemIds(), SystemThreads()
    database = open_database(settings.database)
    bind(database, (*tables.TABLES, *job_tables.TABLES))
    return Context(
        settings=settings,
        clock=clock,
        ids=ids,
        random=random.SystemRandom(),
        threads=threads,
        db=database,
        bell=UnixBell(settings.state_dir / "bell", clock=clock, ids=ids, threads=threads),
        storage=CephStorage(
            str(settings.ceph_conf),
            str(settings.ceph_keyring),
            settings.ceph_client,
            pools=(settings.image_pool, settings.vm_pool),
        ),
        hypervisors=LibvirtHypervisors(settings.libvirt_pki, migration=MigrationSettings(tls=settings.migration_tls)),
    )


def migrate_database(settings: Settings) -> None:
    """Bring the schema to this version's; processes that start together wait for each other."""
    migrate(build_context(settings).db)


def serve_api(settings: Settings) -> None:
    """Answer HTTP until SIGTERM."""
    migrate_database(settings)
    _sweep_uploads(build_context(settings))
    _HttpServer(settings).run()


def serve_worker(settings: Settings, worker_id: str) -> None:
    """Run jobs and the service's own rounds until SIGTERM."""
    migrate_database(settings)
    ctx = build_context(settings)
    _sweep_uploads(ctx)
    ctx.hypervisors.listen(lambda event: note_event.note(ctx, event))
    worker = Worker(ctx, OPERATIONS, worker_id=worker_id, slots=settings.worker_threads, schedule=_rounds(settings))
    run_process(ctx, worker, worker_id=worker_id, state_dir=settings.state_dir)
    ctx.hypervisors.close()


def create_token(settings: Settings, *, name: str, role: str, path: Path) -> None:
    """Make a token and write its secret to a file that only its owner can read; it is never printed."""
    migrate_database(settings)
    secret, draft = tokens.new_secret(), path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret + "\n")
    # The old token ends only once the new one is on the disk.
    tokens.create(build_context(settings), name=name, role=role, secret=secret)
    draft.replace(path)


def set_up_logging() -> None:
    """One JSON line per event on standard error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )


def default_worker_id() -> str:
    """One worker per computer unless told otherwise."""
    return socket.gethostname()


def _sweep_uploads(ctx: Context) -> None:
    with unit_of_work(ctx.db):
        uploads.sweep(ctx)


def _rounds(settings: Settings) -> Schedule:
    def every(interval_s: float, kind: str) -> Periodic:
        return Periodic(kind, interval_s, kind, OPERATIONS[kind].steps_version)

    return Schedule(
        (
            every(settings.facts_interval_s, "observe_hosts"),
            every(settings.facts_interval_s, "observe_storage"),
            every(settings.facts_interval_s, "restore_vms"),
            every(PURGE_INTERVAL_S, "purge_jobs"),
        )
    )


class _HttpServer(BaseApplication):  # type: ignore[misc]
    """gunicorn with one process and a fixed number of threads: the bindings hold no locks that a fork would copy."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        options: dict[str, Any] = {
            "bind": f"{self._settings.listen_address}:{self._settings.listen_port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": self._settings.http_threads,
            "graceful_timeout": 5,
            "keepalive": 15,
            "control_socket_disable": True,
            "loglevel": "warning",
            "when_ready": _limit_silence,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> App:
        return App(build_context(self._settings))


def _limit_silence(server: Any) -> None:
    """gunicorn's threads read without a deadline. Linux hands a listener's own on to the connections it accepts."""
    limit = struct.pack("@ll", CLIENT_SILENCE_S, 0)
    for listener in server.LISTENERS:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            listener.sock.setsockopt(socket.SOL_SOCKET, option, limit)
