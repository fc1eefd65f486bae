"""A VM's size: what it has now, the ceilings it runs under, and what its next start will give it.

The project's quota always counts the larger of now and then, so that a next start is never refused for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from service.context import Context
from service.db import allocations, quotas
from service.db.tables import Flavor, Vm

FIELDS = ("vcpus", "memory_mib", "max_vcpus", "max_memory_mib")


@dataclass(frozen=True, slots=True)
class Sizes:
    """`pending` has those of FIELDS that the next start changes; None: none of them."""

    vcpus: int
    memory_mib: int
    max_vcpus: int
    max_memory_mib: int
    pending: dict[str, int] | None = None

    @staticmethod
    def of_flavor(flavor: Flavor) -> Sizes:
        """What a VM of the flavor starts with."""
        return Sizes(flavor.vcpus, flavor.memory_mib, flavor.max_vcpus, flavor.max_memory_mib)

    def as_dict(self) -> dict[str, int]:
        """FIELDS and their values now."""
        return {name: getattr(self, name) for name in FIELDS}

    def now_at(self, vcpus: int, memory_mib: int) -> Sizes:
        """Under the same ceilings with so much in use."""
        return replace(self, vcpus=vcpus, memory_mib=memory_mib)

    def waiting_for(self, wanted: Sizes) -> Sizes:
        """As it is, with the difference to `wanted` left to the next start."""
        now = self.as_dict()
        return replace(
            self, pending={name: value for name, value in wanted.as_dict().items() if value != now[name]} or None
        )

    def at_next_start(self) -> Sizes:
        """With nothing pending any more."""
        then = self.as_dict() | (self.pending or {})
        return Sizes(then["vcpus"], then["memory_mib"], then["max_vcpus"], then["max_memory_mib"])


def sizes_of(vm: Vm) -> Sizes:
    """The VM's sizes as its row has them."""
    return Sizes(vm.vcpus, vm.memory_mib, vm.max_vcpus, vm.max_memory_mib, pending=vm.pending)


def memory_on_host(ctx: Context, memory_mib: int) -> int:
    """Return the MiB of its host that a guest of `memory_mib` is allocated: QEMU itself needs some."""
    return memory_mib + ctx.settings.memory_overhead_mib


def put(ctx: Context, vm: Vm, sizes: Sizes, *, flavor_id: str) -> None:
    """Write the sizes into the VM's row, and change quota and its host's promise by the difference.

    Inside the caller's transaction. Raises ConflictError (`quota.exceeded`).
    """
    before = quotas.size_of(vm)
    vm.vcpus, vm.memory_mib, vm.pending = sizes.vcpus, sizes.memory_mib, sizes.pending
    vm.max_vcpus, vm.max_memory_mib, vm.flavor_id = sizes.max_vcpus, sizes.max_memory_mib, flavor_id
    after = quotas.size_of(vm)
    quotas.claim(vm.project_id, {name: after[name] - before[name] for name in after})
    quotas.give_back(vm.project_id, {name: before[name] - after[name] for name in after})
    vm.save(only=(Vm.vcpus, Vm.memory_mib, Vm.max_vcpus, Vm.max_memory_mib, Vm.pending, Vm.flavor))
    allocations.resize(vm, vcpus=vm.vcpus, memory_mib=memory_on_host(ctx, vm.memory_mib))
