"""The context that bootstrap hands down.

Nothing below calls time, uuid, random or threading itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from service.db.engine.database import Database
from service.hypervisor.contract import Hypervisors
from service.hypervisor.host_backoff import HostBackoff
from service.meters import Meters
from service.network.addresses import LastGiven
from service.network.outside import INTERNET, Outside
from service.placer.placer import Placer
from service.resting import Resting
from service.settings import Settings
from service.world import Bell, Clock, Ids, Threads
from storage.contract import Storage


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """What one process remembers between calls and loses at its end, without harm."""

    addresses: LastGiven = field(default_factory=LastGiven)
    host_backoff: HostBackoff = field(default_factory=HostBackoff)
    resting: Resting = field(default_factory=Resting)  # placement programs that timed out or failed


@dataclass(frozen=True, slots=True)
class Context:
    """Settings, clocks and backends of a process. `random` is seeded in a simulation."""

    settings: Settings
    clock: Clock
    ids: Ids
    random: Random
    threads: Threads
    db: Database
    bell: Bell
    storage: Storage
    hypervisors: Hypervisors
    measurements: Database
    meters: Meters
    placer: Placer
    outside: Outside = INTERNET
    memory: ProcessMemory = field(default_factory=ProcessMemory)
