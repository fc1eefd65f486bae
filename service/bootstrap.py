"""Construction of the context and the processes from settings.

The only file that names concrete backends.
"""

from __future__ import annotations

import functools
import os
import random
import socket
from pathlib import Path

from service.api.app import App
from service.console.server import ConsoleServer
from service.context import Context
from service.db import tables
from service.db.engine.database import bind, open_database, unit_of_work
from service.db.engine.migrate import migrate
from service.db.measurements import open_measurements, prepare
from service.http.server import HttpServer, gunicorn_options
from service.hypervisor.libvirt_driver.libvirt_hosts import LibvirtHypervisors
from service.hypervisor.migration.migration_settings import MigrationSettings
from service.jobs import job_tables
from service.jobs.new_bell import new_bell
from service.meters import Meters
from service.operations.images import files
from service.operations.people import tokens
from service.operations.registry import OPERATIONS
from service.operations.upkeep import back_up, restore
from service.operations.vms import record_event
from service.placer import background
from service.placer.new_placer import new_placer
from service.settings import Settings
from service.worker.loop import Worker
from service.worker.notify import READY, notify
from service.worker.process import run_process, wait_for_signal
from service.worker.publish_meters import publish_for_ever
from service.worker.schedule import Periodic, Schedule
from service.world import SystemClock, SystemIds, SystemThreads
from storage.ceph.backend import CephStorage

MEASURE_INTERVAL_S = 15.0
PURGE_INTERVAL_S = 300.0
SWEEP_INTERVAL_S = 60.0
FORECAST_INTERVAL_S = 300.0


def build_context(settings: Settings) -> Context:
    """Build the context with the real backends. Connects to nothing yet.

    A process may fork after this, but not after its first call of a backend.
    """
    os.umask(0o077)  # files written below must be readable by this service only
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    clock, ids, threads = SystemClock(), SystemIds(), SystemThreads()
    database = open_database(settings.database, connections=settings.database_connections)
    bind(database, (*tables.TABLES, *job_tables.TABLES))
    return Context(
        settings=settings,
        clock=clock,
        ids=ids,
        random=random.SystemRandom(),
        threads=threads,
        db=database,
        bell=new_bell(database, settings.state_dir / "bell", clock=clock, ids=ids, threads=threads),
        storage=CephStorage(
            str(settings.ceph_conf),
            str(settings.ceph_keyring),
            settings.ceph_client,
            secret_uuid=settings.ceph_secret_uuid,
        ),
        hypervisors=LibvirtHypervisors(settings.libvirt_pki, migration=MigrationSettings(tls=settings.migration_tls)),
        measurements=open_measurements(settings.metrics),
        meters=Meters(),
        placer=new_placer(settings, database, ids),
    )


def migrate_database(settings: Settings) -> None:
    """Migrate the schema to this version; processes that start together wait."""
    ctx = build_context(settings)
    migrate(ctx.db)
    prepare(ctx.measurements)


def serve_api(settings: Settings) -> None:
    """Serve the HTTP API until SIGTERM."""
    migrate_database(settings)
    _sweep_uploads(build_context(settings))
    options = gunicorn_options(settings.listen_address, settings.listen_port, threads=settings.http_threads)
    HttpServer(lambda: App(_placing(build_context(settings))), options).run()


def _placing(ctx: Context) -> Context:
    """Prepare the context of a process that decides placements, after its last fork."""
    run = functools.partial(background.run_forever, ctx.placer, ctx.db, ctx.clock, ctx.settings)
    ctx.threads.start("write-facts", run)
    return ctx


def serve_worker(settings: Settings, worker_id: str) -> None:
    """Run jobs and the service's periodic jobs until SIGTERM."""
    migrate_database(settings)
    ctx = _placing(build_context(settings))
    _sweep_uploads(ctx)
    ctx.hypervisors.listen(lambda event: record_event.record(ctx, event))
    ctx.threads.start("publish-meters", functools.partial(publish_for_ever, ctx, f"worker-{worker_id}"))
    slots, rounds = settings.worker_threads, _rounds(settings)
    worker = Worker(ctx, OPERATIONS, worker_id=worker_id, slots=slots, schedule=rounds, notify=notify)
    run_process(ctx, worker, worker_id=worker_id, state_dir=settings.state_dir)
    ctx.hypervisors.close()


def serve_console(settings: Settings) -> None:
    """Serve VNC and serial consoles until SIGTERM.

    Connects not to Ceph, and to a host only when a console of it is opened.
    """
    migrate_database(settings)
    ctx = build_context(settings)
    server = ConsoleServer(ctx)
    ctx.threads.start("console-accept", server.run)
    notify(READY)
    wait_for_signal()
    server.close()


def create_token(settings: Settings, *, name: str, role: str, path: Path) -> None:
    """Create a token and write its secret to a file, mode 0600; it is never printed."""
    migrate_database(settings)
    secret, draft = tokens.new_secret(), path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret + "\n")
    # Revoke the old token only once the new one is on the disk.
    tokens.create(build_context(settings), name=name, role=role, secret=secret)
    draft.replace(path)


def write_backup(settings: Settings, settings_file: Path, file: Path) -> None:
    """Write the control plane's state to a file, whether the service runs or not."""
    ctx = build_context(settings)
    back_up.back_up(settings, ctx.db, file, now=ctx.clock.now(), settings_file=settings_file)


def restore_backup(settings: Settings, file: Path, *, unreachable_hosts_are_off: bool) -> str:
    """Restore the state while the service is stopped; return a report for people."""
    ctx = build_context(settings)
    try:
        return restore.restore(ctx, file, unreachable_hosts_are_off=unreachable_hosts_are_off).text()
    finally:
        ctx.hypervisors.close()


def default_worker_id() -> str:
    """Return the host name: one worker per computer is the default."""
    return socket.gethostname()


def _sweep_uploads(ctx: Context) -> None:
    with unit_of_work(ctx.db):
        files.sweep(ctx)


def _rounds(settings: Settings) -> Schedule:
    def every(interval_s: float, kind: str) -> Periodic:
        return Periodic(kind, interval_s, kind, OPERATIONS[kind].steps_version)

    return Schedule(
        (
            every(settings.facts_interval_s, "observe_hosts"),
            every(settings.facts_interval_s, "observe_storage"),
            every(MEASURE_INTERVAL_S, "observe_vms"),
            every(FORECAST_INTERVAL_S, "forecast_usage"),
            every(settings.facts_interval_s, "restore_vms"),
            every(PURGE_INTERVAL_S, "purge_jobs"),
            every(SWEEP_INTERVAL_S, "sweep_images"),
        )
    )
