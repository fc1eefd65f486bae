"""What a VM needs of a host: everything that the filters compare with a host's facts. From the database alone."""

from __future__ import annotations

from service.context import Context
from service.db import placement_groups as groups
from service.db.tables import Host, Vm
from service.errors import ConflictError, FieldError
from service.operations.placement import placement_groups
from service.operations.placement.placement_rules import Tie, clash, on_the_way
from service.operations.placement.placement_rules import told as rule_told
from service.operations.rows.sizes import memory_on_host
from service.placement.facts import NOBODY, GroupRule, PoolFacts, VmRequest
from service.placer import placement_inputs
from service.placer.placement_inputs import SeenPool


def vm_request(ctx: Context, vm: Vm, *, excluded: Host | None = None, only: Host | None = None) -> VmRequest:
    """What `vm` needs now; with `excluded`, the host that it leaves, it moves, and keeps what it was started with.

    A move writes no new data, and nothing may keep it back for the sake of a host that might be lost: so is the start
    of a VM that was lost with its host. Raises ConflictError (`placement_group.contradiction`,
    `placement_group.moving`).
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
    """Rules that no host could obey are told as what they are, whatever the hosts are like."""
    if (met := on_the_way(ties)) is not None:
        tie, other = met
        told = (
            f"VM '{vm.name}' goes where '{other}' is, by {rule_told(tie)}, and that moves: try again when it is there."
        )
        raise ConflictError(told, code=placement_groups.MOVING)
    hosts = {host_id for tie in ties for host_id in tie.others}
    why = clash(ties, groups.host_names(hosts)) if hosts else None
    if why is not None:
        raise ConflictError(
            f"No host can obey the rules of VM '{vm.name}': {why}. Move the others, or make a rule soft.",
            code=placement_groups.CONTRADICTION,
            errors=(FieldError("placement_groups", why),),
        )


def _pool(seen: SeenPool, vm: Vm) -> PoolFacts:
    """A nearly full one takes no new VM; one that is there may start."""
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
    """A guest was told its CPU at its start and keeps it: that of its host, unless it is a named or an emulated one."""
    if source is None or vm.virt_type != "kvm" or ctx.settings.guest_cpu_model:
        return NOBODY
    return frozenset((source.hardware or {}).get("cpu_features", ()))


def _was_lost(vm: Vm) -> bool:
    """It should run, and is not new: it went down with its host."""
    return vm.observed_state != "creating" and vm.desired_state != "stopped"
