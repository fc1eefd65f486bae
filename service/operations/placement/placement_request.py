"""Placement requests: a VM's requirements on a host, from the database alone.

The filters compare them with a host's facts.
"""

from __future__ import annotations

from service.context import Context
from service.db import placement_groups as groups
from service.db.tables import Host, Vm
from service.errors import ConflictError, FieldError
from service.operations.placement import placement_groups
from service.operations.placement.placement_rules import Tie, clash, label, on_the_way
from service.operations.rows.sizes import memory_on_host
from service.placement.facts import EMPTY, GroupRule, PoolFacts, VmRequest
from service.placer import placement_inputs
from service.placer.placement_inputs import SeenPool


def vm_request(ctx: Context, vm: Vm, *, excluded: Host | None = None, only: Host | None = None) -> VmRequest:
    """Return the requirements of `vm` now; of a migration, from the host `excluded`.

    A migrating VM keeps the size it was started with. A migration writes no new data, and the reserve for a lost host
    must not prevent it, nor the start of a VM that was lost with its host. Raises ConflictError
    (`placement_group.contradiction`, `placement_group.moving`).
    """
    inputs = placement_inputs.of_vm(vm)
    ties = placement_groups.ties(vm, inputs.rules)
    _check(vm, ties)
    moves = excluded is not None
    return VmRequest(
        vcpus=vm.vcpus,
        memory_mib=memory_on_host(ctx, vm.memory_mib),
        pools=() if moves else tuple(_pool(seen, vm) for seen in inputs.pools),
        virt_type=vm.virt_type if moves else None,
        cpu_features=_cpu_features(ctx, vm, excluded),
        bridges=inputs.bridges,
        firmware=str(vm.firmware),
        excluded_hosts=frozenset({excluded.id} if excluded else ()),
        only_host=only.id if only else None,
        host_groups=inputs.host_groups,
        project_id=vm.project_id,
        rules=tuple(GroupRule(tie.group_id, tie.name, tie.kind, tie.hard) for tie in ties),
        moves=moves,
        max_migrations=ctx.settings.max_migrations_per_host,
        keep_room=ctx.settings.placement_keep_room and not moves and not _was_lost(vm),
        now_s=ctx.clock.now().timestamp(),
        max_facts_age_s=ctx.settings.facts_max_age_s,
    )


def _check(vm: Vm, ties: list[Tie]) -> None:
    """Check that some host could obey the rules, independent of the hosts' facts."""
    if (met := on_the_way(ties)) is not None:
        tie, other = met
        detail = (
            f"VM '{vm.name}' must be with '{other}', by {label(tie)}, which is being migrated: retry when that is done."
        )
        raise ConflictError(detail, code=placement_groups.MOVING)
    hosts = {host_id for tie in ties for host_id in tie.others}
    why = clash(ties, groups.host_names(hosts)) if hosts else None
    if why is not None:
        raise ConflictError(
            f"No host can obey the rules of VM '{vm.name}': {why}. Move the others, or make a rule soft.",
            code=placement_groups.CONTRADICTION,
            errors=(FieldError("placement_groups", why),),
        )


def _pool(seen: SeenPool, vm: Vm) -> PoolFacts:
    """Return the pool's facts; a nearly full one takes no new VM, but starts others."""
    if seen.facts is None:
        return PoolFacts(name=seen.name, observed_at_s=None, free_bytes=0, near_full=False, full=False)
    return PoolFacts(
        name=seen.name,
        observed_at_s=seen.observed_at_s,
        free_bytes=seen.facts["free_bytes"],
        near_full=seen.facts["near_full"] and vm.observed_state == "creating",
        full=seen.facts["full"],
        quota_bytes=seen.facts.get("quota_bytes"),
        device_class=seen.facts.get("device_class"),
    )


def _cpu_features(ctx: Context, vm: Vm, source: Host | None) -> frozenset[str]:
    """Return the CPU features that a target must have.

    A running guest keeps the CPU model of its start: its host's, unless it is a named or an emulated one.
    """
    if source is None or vm.virt_type != "kvm" or ctx.settings.guest_cpu_model:
        return EMPTY
    return frozenset((source.hardware or {}).get("cpu_features", ()))


def _was_lost(vm: Vm) -> bool:
    """Return True if the VM was lost with its host: it should run and is not new."""
    return vm.observed_state != "creating" and vm.desired_state != "stopped"
