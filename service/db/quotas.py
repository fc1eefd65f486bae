"""Quotas of projects; counters change in the transaction of their rows."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping

from peewee import Case

from service.db.engine.prepared import Parameter, Prepared
from service.db.engine.sql_types import Query
from service.db.tables import Image, Nic, Quota, Vm, Volume
from service.errors import ConflictError
from service.json_types import JsonObject

GIB = 1 << 30
COUNTED = ("vms", "vcpus", "memory_mib", "volumes", "addresses")
PER_POOL = "gib:"  # and the pool's name

Amounts = Mapping[str, int]


def claim(project_id: str, amounts: Amounts) -> None:
    """Add `amounts` (by resource) to the project's counters.

    Inside the transaction that creates the rows. Exact under concurrency: the update itself compares. Raises
    ConflictError (`quota.exceeded`): roll back then.
    """
    wanted = {resource: amount for resource, amount in sorted(amounts.items()) if amount > 0}
    missing = _not_counted(project_id, wanted)
    for resource in missing:  # for the first time
        _begin_to_count(project_id, resource)
    for resource in _not_counted(project_id, {resource: wanted[resource] for resource in missing}):
        raise _exceeded(project_id, resource, wanted[resource])


def _not_counted(project_id: str, amounts: Amounts) -> list[str]:
    """Add what fits, in one statement; return resources uncounted or over limit."""
    if not amounts:
        return []
    given: JsonObject = {f"amount{place}": amount for place, amount in enumerate(amounts.values())}
    given |= {f"resource{place}": resource for place, resource in enumerate(amounts)}
    counted = {resource for (resource,) in _counting(len(amounts)).tuples(project_id=project_id, **given)}
    return [resource for resource in amounts if resource not in counted]


@functools.cache
def _counting(count: int) -> Prepared[Quota]:
    resources = [Parameter(f"resource{place}", Quota.resource) for place in range(count)]
    amounts = [Parameter(f"amount{place}", Quota.used) for place in range(count)]

    def build() -> Query:
        more = Quota.used + Case(Quota.resource, list(zip(resources, amounts, strict=True)))
        mine = (Quota.project == Parameter("project_id")) & Quota.resource.in_(resources)
        fits = Quota.limit.is_null() | (more <= Quota.limit)
        return Quota.update(used=more).where(mine & fits).returning(Quota.resource)

    return Prepared(Quota, build)


def give_back(project_id: str, amounts: Amounts) -> None:
    """Subtract `amounts` (by resource), inside the transaction that deletes the rows."""
    for resource, amount in sorted(amounts.items()):
        if amount > 0:
            Quota.update(used=Quota.used - amount).where(_is(project_id, resource)).execute()


def of_vm(vm: Vm) -> Amounts:
    """Return the amounts of a VM with its volumes and cards, running or not."""
    return of_parts(vm, Volume.select().where(Volume.vm == vm.id), Nic.select().where(Nic.vm == vm.id).count())


def of_parts(vm: Vm, volumes: Iterable[Volume], addresses: int) -> Amounts:
    """Return the amounts of a VM whose parts are in memory."""
    amounts: Counter[str] = Counter(vms=1, addresses=addresses, **size_of(vm))
    for volume in volumes:
        amounts.update(of_volume(volume.role, volume.pool, volume.size_bytes))
    return amounts


def size_of(vm: Vm) -> dict[str, int]:
    """Return vCPUs and memory: the larger of the VM's current and next sizes."""
    return {name: max(getattr(vm, name), (vm.pending or {}).get(name, 0)) for name in ("vcpus", "memory_mib")}


def of_volume(role: str, pool: str, size_bytes: int) -> Amounts:
    """Return the amounts of a volume, in whole GiB; none for seed, NVRAM and medium.

    Those belong to the service.
    """
    return {} if role in ("seed", "nvram", "medium") else {"volumes": 1, PER_POOL + pool: gib(size_bytes)}


def of_image(pool: str, size_bytes: int) -> Amounts:
    """Return the amounts of an image: whole GiB of its pool."""
    return {PER_POOL + pool: gib(size_bytes)}


def gib(size_bytes: int) -> int:
    """Return GiB, rounded up."""
    return -(-size_bytes // GIB)


def set_limit(project_id: str, resource: str, limit: int | None) -> Quota:
    """Set a limit; None: unlimited. One below the current use stops new objects only."""
    _begin_to_count(project_id, resource)
    Quota.update(limit=limit).where(_is(project_id, resource)).execute()
    quota: Quota = Quota.get(_is(project_id, resource))
    return quota


def of_project(project_id: str) -> list[Quota]:
    """Return every counter and limit of a project, by resource."""
    return list(Quota.select().where(Quota.project == project_id).order_by(Quota.resource))


def recounted(project_id: str) -> Amounts:
    """Return the project's amounts, recounted from the rows."""
    amounts: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
    for vm in Vm.select().where(Vm.project == project_id):
        amounts.update(vms=1, **size_of(vm))
    for volume in Volume.select().where(Volume.project == project_id):
        amounts.update(of_volume(volume.role, volume.pool, volume.size_bytes))
    for image in Image.select().where(Image.project == project_id):
        amounts.update(of_image(image.pool, image.size_bytes))
    amounts["addresses"] = Nic.select().join(Vm).where(Vm.project == project_id).count()
    return amounts


def _is(project_id: str, resource: str) -> object:
    return (Quota.project == project_id) & (Quota.resource == resource)


def _begin_to_count(project_id: str, resource: str) -> None:
    Quota.insert(project=project_id, resource=resource, limit=None, used=0).on_conflict(
        conflict_target=(Quota.project, Quota.resource), action="IGNORE"
    ).execute()


def _exceeded(project_id: str, resource: str, amount: int) -> ConflictError:
    quota = Quota.get(_is(project_id, resource))
    return ConflictError(
        f"Project '{quota.project.name}' may have {quota.limit} {resource}, has {quota.used}, and {amount} more "
        "were requested: delete some, or ask an admin for a larger quota.",
        code="quota.exceeded",
    )
