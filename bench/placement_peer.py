"""openstack-placement and its resource providers, on a PostgreSQL database of its own: the peer of placement_rest."""

from __future__ import annotations

import json
import random
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.http_client import Connection
from bench.servers import ADDRESS, free_port, running

PROCESSES = 4  # each answers one request at a time: as many as the most clients that are measured
TRIES = 10
LIMIT = 10  # candidates that are asked for: with more it is slower
VERSION = "placement 1.36"
VCPU, MEMORY_MB = 0, 1  # ids of its own resource classes
SETTINGS = """[DEFAULT]
use_stderr = true
[api]
auth_strategy = noauth2
[placement_database]
connection = {url}
max_pool_size = 5
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """The running service. `provider` is what each of its providers has, `want` what each consumer takes."""

    port: int
    database: str
    want: tuple[int, int]

    @contextmanager
    def client(self, number: int) -> Iterator[Callable[[], None]]:
        """Ask for candidates and claim one of them, as nova's scheduler does, again and again."""
        del number
        chance = random.Random()
        yield lambda: self._place(chance)

    def _place(self, chance: random.Random) -> None:
        """Who loses the provider to somebody else looks for candidates again."""
        for _ in range(TRIES):
            if self._claim(chance):
                return
        raise RuntimeError(f"lost {TRIES} times to others")

    def _claim(self, chance: random.Random) -> bool:
        vcpus, memory_mib = self.want
        resources = {"VCPU": vcpus, "MEMORY_MB": memory_mib}
        wanted = f"VCPU:{vcpus},MEMORY_MB:{memory_mib}"
        status, answer = self._ask("GET", f"/allocation_candidates?resources={wanted}&limit={LIMIT}")
        if status != 200:
            raise RuntimeError(f"{status}: {answer.decode()[:500]}")
        summaries = list(json.loads(answer)["provider_summaries"])
        body = {
            "allocations": {chance.choice(summaries): {"resources": resources}},
            "project_id": "bench", "user_id": "bench", "consumer_generation": None,
        }  # fmt: skip
        status, told = self._ask("PUT", f"/allocations/{uuid.UUID(int=chance.getrandbits(128))}", body)
        if status not in (204, 409):
            raise RuntimeError(f"{status}: {told.decode()[:500]}")
        return status == 204

    def over_committed(self) -> int:
        """How many inventories are promised more often than they are there."""
        query = """SELECT count(*) FROM inventories i JOIN (
            SELECT resource_provider_id p, resource_class_id c, sum(used) used FROM allocations GROUP BY 1, 2
        ) a ON a.p = i.resource_provider_id AND a.c = i.resource_class_id WHERE a.used > i.total * i.allocation_ratio"""
        with psycopg.connect(self.database) as connection:
            row = connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    def _ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """On a connection of its own: its server gives every new one to a process that is free."""
        sent = json.dumps(body).encode() if body is not None else b""
        lines = [f"{method} {path} HTTP/1.1", "Host: bench", "X-Auth-Token: admin", f"OpenStack-API-Version: {VERSION}"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(sent)}", "Accept: application/json", "", ""]
        with Connection(ADDRESS, self.port) as connection:
            return connection.ask("\r\n".join(lines).encode() + sent)


@contextmanager
def running_peer(
    python: Path, folder: Path, database: str, *, hosts: int, has: tuple[int, int], want: tuple[int, int]
) -> Iterator[Peer]:
    """The service from its first connection to the end of the block; `has` and `want` are vCPUs and MiB."""
    folder.mkdir()
    url = database.replace("postgresql://", "postgresql+psycopg2://")
    (folder / "placement.conf").write_text(SETTINGS.format(url=url))
    port = free_port()
    served = [str(python), "-m", "gunicorn", "--bind", f"{ADDRESS}:{port}", "--workers", str(PROCESSES)]
    served += ["--env", f"OS_PLACEMENT_CONFIG_DIR={folder}", "--no-control-socket", "placement.wsgi.api:application"]
    sync = [str(python), str(python.with_name("placement-manage")), "--config-dir", str(folder), "db", "sync"]
    subprocess.run(sync, check=True, capture_output=True)
    with running(served, port, folder / "log"):
        peer = Peer(port, database, want)
        _fill(database, hosts, has)
        yield peer


def _fill(database: str, hosts: int, has: tuple[int, int]) -> None:
    """Providers without a parent, each with both resources; names and ids as anybody's."""
    with psycopg.connect(database) as connection:
        connection.execute(
            """INSERT INTO resource_providers (id, uuid, name, generation, root_provider_id)
            SELECT n, gen_random_uuid()::text, 'host' || n, 0, n FROM generate_series(1, %s) n""",
            (hosts,),
        )
        for resource, total in zip((VCPU, MEMORY_MB), has, strict=True):
            connection.execute(
                """INSERT INTO inventories (resource_provider_id, resource_class_id, total, reserved, min_unit,
                max_unit, step_size, allocation_ratio) SELECT id, %s, %s, 0, 1, %s, 1, 1.0 FROM resource_providers""",
                (resource, total, total),
            )
        connection.execute("ANALYZE")
