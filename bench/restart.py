"""From the start of the service to its first right answer in a large cloud, beside a raw read of the same rows."""

from __future__ import annotations

import json
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import world
from bench.comparison import Comparison
from bench.http_client import Connection, request_bytes
from bench.servers import ADDRESS, free_port, service_command, wait_accepting

VMS, HOSTS = 10_000, 500
ROUNDS = 7


def run() -> Iterator[Comparison]:
    """One comparison: at most three times the raw read, and a second."""
    with tempfile.TemporaryDirectory(prefix="nacre-bench-") as name:
        folder = Path(name)
        made = world.make(folder / "state", vms=VMS, hosts=HOSTS, port=free_port())
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(_start_to_answer(made, folder / "api.log"))
            theirs.append(_raw_read(made.database))
    mine, raw = statistics.median(ours), statistics.median(theirs)
    case = f"start to the first right answer, {VMS} VMs, beside a raw SQLite read (≤ 3 × + 1 s)"
    yield Comparison("restart", case, "s", mine, raw, "lower", (3 * raw + 1) / raw, ROUNDS)


def _start_to_answer(made: world.World, log: Path) -> float:
    name = world.vm_name(VMS - 1)
    begun = time.perf_counter()
    with log.open("ab") as file:
        process = subprocess.Popen(service_command(made.settings_file), stdout=file, stderr=file)
    try:
        wait_accepting(process, made.port, log)
        with Connection(ADDRESS, made.port) as connection:
            status, body = connection.ask(request_bytes("GET", f"/v1/vms/{name}", made.token))
        took = time.perf_counter() - begun
    finally:
        process.terminate()
        process.wait(30)
    if status != 200 or json.loads(body)["name"] != name:
        raise RuntimeError(f"a wrong answer: {body[:300]!r}")
    return took


def _raw_read(database: Path) -> float:
    begun = time.perf_counter()
    connection = sqlite3.connect(database)
    rows = [row for table in ("vm", "volume", "nic") for row in connection.execute(f"SELECT * FROM {table}")]
    connection.close()
    took = time.perf_counter() - begun
    if len(rows) < VMS:
        raise RuntimeError(f"only {len(rows)} rows were read")
    return took
