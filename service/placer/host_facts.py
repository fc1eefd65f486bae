"""From a host's rows to the facts that a decision is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from service.db import host_ratios, host_relations, placement_groups
from service.db.engine.fields import optional_epoch_seconds
from service.db.host_relations import Ids
from service.db.tables import Host
from service.facts import codec
from service.facts.fact import names_of
from service.json_types import Json
from service.placement.facts import HostFacts, HostHardware, HostLoad, HostStorage, HostUsage
from service.placement.reservations import ReservationRules, Reserved, reserved

IN_BOTH = tuple(name for name in names_of(HostUsage) if name in names_of(HostLoad))


@dataclass(frozen=True, slots=True)
class Promises:
    """How far hosts may be promised unless their groups say otherwise, and what is kept back for their OSDs."""

    vcpu_ratio: float = 1.0
    memory_ratio: float = 1.0
    reservations: ReservationRules = field(default_factory=ReservationRules)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host's facts, and what a claim and a start need of its row."""

    facts: HostFacts
    generation: int
    machine: str | None
    changed: int


@dataclass(frozen=True, slots=True)
class _Around:
    """What other tables say of the hosts, by their ids."""

    groups: Mapping[str, frozenset[str]]
    ratios: Mapping[str, tuple[int | None, int | None]]
    projects: Mapping[str, dict[str, int]]
    migrations: Mapping[str, int]
    members: Mapping[str, dict[str, int]]


def candidates(rows: Iterable[Host], promises: Promises, *, ids: Ids) -> list[Candidate]:
    """One for each row; `ids` are those of the rows, None where these are all hosts. Inside a unit of work."""
    around = _around(ids)
    return [Candidate(_facts(row, promises, around), row.generation, row.machine, row.changed) for row in rows]


def _facts(row: Host, promises: Promises, around: _Around) -> HostFacts:
    load, storage = row.facts or {}, codec.read(HostStorage, row.storage)
    kept = reserved(Reserved(row.reserved_vcpus, row.reserved_memory_mib), storage, promises.reservations)
    vcpu_milli, memory_milli = around.ratios.get(row.id, (None, None))
    return HostFacts(
        host_id=row.id,
        name=row.name,
        state=row.state,
        observed_at_s=optional_epoch_seconds(row.observed_at),
        problem=row.problem,
        virt_type=row.virt_type,
        vcpus=row.vcpus,
        reserved_vcpus=kept.vcpus,
        vcpu_ratio=_ratio(vcpu_milli, promises.vcpu_ratio),
        allocated_vcpus=row.allocated_vcpus,
        memory_mib=row.memory_mib,
        reserved_memory_mib=kept.memory_mib,
        memory_ratio=_ratio(memory_milli, promises.memory_ratio),
        allocated_memory_mib=row.allocated_memory_mib,
        vm_count=row.vm_count,
        migrations=around.migrations.get(row.id, 0),
        hardware=codec.decode(HostHardware, row.hardware or {}),
        load=codec.decode(HostLoad, load),
        host_groups=around.groups.get(row.id, frozenset()),
        projects=around.projects.get(row.id, {}),
        members=around.members.get(row.id, {}),
        storage=storage,
        storage_observed_at_s=optional_epoch_seconds(row.storage_observed_at),
        usage=_usage(row.usage, load),
    )


def _usage(usage: Json, load: Mapping[str, Json]) -> HostUsage | None:
    """Return the usage; until the history has a number, the load's stands in for it."""
    current = {name: load[name] for name in IN_BOTH if load.get(name) is not None}
    lasting = {name: value for name, value in (usage or {}).items() if value is not None}
    return codec.read(HostUsage, current | lasting or None)


def _ratio(milli: int | None, usual: float) -> float:
    return usual if milli is None else milli / 1000


def _around(ids: Ids) -> _Around:
    projects, migrations = host_relations.projects_and_migrations(ids)
    return _Around(
        host_relations.groups_of(ids), host_ratios.of_hosts(ids), projects, migrations, placement_groups.members_on(ids)
    )
