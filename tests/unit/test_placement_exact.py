"""16 clients that place at the edge of capacity: sums are exact, nobody is refused while there is room.

NACRE_PLACEMENTS says how many each client places: 1,000 by hand, fewer in the suite.
"""

import json
import os
import subprocess
import sys

import pytest

from service.db.engine.database import bind, transaction, unit_of_work
from service.db.tables import TABLES, Host, Vm
from tests.placement_clients import Clients, sums
from tests.worlds.placer import PlacerWorld, host_row

CLIENTS = 16
HOSTS = 50
PLACEMENTS = {"sqlite": 300, "postgresql": 50}
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def placements(product) -> int:
    """Of each client."""
    return int(os.environ.get("NACRE_PLACEMENTS", PLACEMENTS[product]))


@pytest.fixture
def crowded(tmp_path, new_database, placements):
    """A cloud that has room for about three quarters of what will be asked for."""
    world = PlacerWorld(new_database("cloud"), tmp_path, hosts=0, vms=1)
    wanted_vcpus = CLIENTS * placements * 9 // 4
    with transaction(world.db):
        size = {"vcpus": wanted_vcpus * 2 // 3 // HOSTS, "memory_mib": CLIENTS * placements * 1900 * 3 // 4 // HOSTS}
        for number in range(HOSTS):
            Host.create(**host_row(number, **size))
        one = Vm.get().__data__
        rows = [one | {"id": f"vm{n}", "name": f"vm{n}"} for n in range(1, CLIENTS * placements)]
        for first in range(0, len(rows), 500):
            Vm.insert_many(rows[first : first + 500]).execute()
    return world


def check(world, told: list[dict], placements: int) -> None:
    assert [wrong for one in told for wrong in one["wrong"]] == []
    placed, refused = (sum(one[what] for one in told) for what in ("placed", "refused"))
    assert placed + refused == CLIENTS * placements
    assert refused > placements, "the edge was never reached"
    assert sums(world.db) == []
    with unit_of_work(world.db):
        held = sum(host.vm_count for host in Host.select())
    assert held == placed - sum(one["given_back"] for one in told)
    assert world.synced() == world.truth()


def test_threads_of_one_process_place_exactly(crowded, placements, tmp_path):
    told = Clients(crowded.db_url, tmp_path, "one").run(range(CLIENTS), placements)
    bind(crowded.db, TABLES)
    check(crowded, [told], placements)


def test_three_processes_place_exactly(crowded, placements, tmp_path):
    bounds = ((0, 6), (6, 11), (11, CLIENTS))
    command = [sys.executable, "-m", "tests.placement_clients", crowded.db_url, str(tmp_path)]
    running = [
        subprocess.Popen(
            [*command, f"p{first}", str(first), str(last), str(placements)], stdout=subprocess.PIPE, text=True
        )
        for first, last in bounds
    ]
    told = [json.loads(process.communicate()[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    check(crowded, told, placements)


def test_what_is_counted_wrong_or_over_committed_would_be_told(crowded):
    with transaction(crowded.db):
        Host.update(allocated_vcpus=1).where(Host.id == "host0").execute()
        Host.update(allocated_vcpus=Host.vcpus + 1).where(Host.id == "host1").execute()
    assert len(sums(crowded.db)) == 3
