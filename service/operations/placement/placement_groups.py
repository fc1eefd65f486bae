"""Placement groups: rules that VMs run on one host, or on different ones.

A rule applies from a VM's next placement on. A running VM that breaks it stays where it is; it is shown as broken
until the VM is moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from service.context import Context
from service.db import placement_groups as groups
from service.db import queries
from service.db.change_counter import touch
from service.db.engine.database import transaction
from service.db.scope import Scope
from service.db.tables import PlacementGroup, PlacementGroupMember, Vm
from service.errors import ConflictError, FieldError
from service.json_types import JsonObject
from service.operations import audit
from service.operations.actor import Actor
from service.operations.placement.placement_rules import Kind, Rule, Tie, broken, contradiction, label
from service.placer.placement_inputs import ObeyedRule

CONTRADICTION = "placement_group.contradiction"
MOVING = "placement_group.moving"


def create(ctx: Context, actor: Actor, *, name: str, kind: Kind, hard: bool) -> PlacementGroup:
    """Create a rule without VMs. Raises ConflictError (`placement_group.name_taken`)."""
    with transaction(ctx.db):
        project_id = actor.scope.home()
        if queries.name_is_taken(PlacementGroup, name, project_id):
            taken = f"There is a placement group '{name}' already."
            raise ConflictError(taken, code="placement_group.name_taken")
        group: PlacementGroup = PlacementGroup.create(
            id=ctx.ids.uuid(), created_at=ctx.clock.now(), name=name, project=project_id, kind=kind, hard=hard
        )
        audit.record(ctx, actor, "create_placement_group", "placement_group", group, after=audit.definition(group))
        return group


def change(ctx: Context, actor: Actor, ref: str, *, hard: bool | None) -> PlacementGroup:
    """Make the rule hard or soft.

    Raises ConflictError (`placement_group.contradiction`).
    """
    with transaction(ctx.db):
        group = queries.get(PlacementGroup, ref, actor.scope)
        if hard is None or hard == group.hard:
            return group
        before = audit.definition(group)
        group.hard = hard
        group.save()
        check(group.project_id)
        audit.record(
            ctx,
            actor,
            "update_placement_group",
            "placement_group",
            group,
            before=before,
            after=audit.definition(group),
        )
        return group


def delete(ctx: Context, actor: Actor, ref: str) -> None:
    """Delete a rule without VMs. Raises ConflictError (`placement_group.in_use`)."""
    with transaction(ctx.db):
        group = queries.get(PlacementGroup, ref, actor.scope)
        names = [vm.name for vm in groups.vms_of([group.id]).get(group.id, ())]
        if names:  # require an explicit change of its VMs, so that no rule is lost by accident
            who = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            in_use = f"Placement group '{group.name}' is used by {who}: take them out of it first."
            raise ConflictError(in_use, code="placement_group.in_use")
        audit.record(ctx, actor, "delete_placement_group", "placement_group", group, before=audit.definition(group))
        group.delete_instance()


def named(refs: Sequence[str], project_id: str, scope: Scope) -> list[PlacementGroup]:
    """Return the groups that a body names in `placement_groups`, each once, by name.

    Raises InvalidError.
    """
    field, home = "placement_groups", replace(scope, project_id=project_id)
    found: dict[str, PlacementGroup] = {}
    for ref in refs:
        group = queries.referenced(PlacementGroup, ref, field, home)
        if group.project_id != project_id:
            raise queries.no_such("placement_group", ref, field)
        found[group.id] = group
    return sorted(found.values(), key=lambda group: str(group.name))


def put(vm: Vm, wanted: Sequence[PlacementGroup]) -> None:
    """Set the rules of the VM, inside the caller's transaction.

    Raises ConflictError (`placement_group.contradiction`).
    """
    PlacementGroupMember.delete().where(PlacementGroupMember.vm == vm.id).execute()
    if wanted:
        rows: list[JsonObject] = [{"group": group.id, "vm": vm.id} for group in wanted]
        PlacementGroupMember.insert_many(rows).execute()
        check(vm.project_id)
    held = groups.hosts_held_by(vm.id)
    if held:
        touch(held)


def check(project_id: str) -> None:
    """Check that a project's hard rules can all be obeyed.

    Raises ConflictError with the contradicting rules and the two VMs.
    """
    known, members = groups.hard_members(project_id)
    if len({group.kind for group in known.values()}) < 2:
        return
    rules = (Rule(str(group.name), _kind(group), members.get(group.id, frozenset())) for group in known.values())
    found = contradiction(rules)
    if found is None:
        return
    one, other = (queries.by_id(Vm, vm_id).name for vm_id in found.vms)
    together = " and ".join(label(rule) for rule in found.together)
    why = f"{together} keeps VMs '{one}' and '{other}' on one host, {label(found.apart)} on two"
    raise ConflictError(
        f"These rules contradict each other: {why}. Take one VM out of one of them, or make one soft.",
        code=CONTRADICTION,
        errors=(FieldError("placement_groups", why),),
    )


def ties_of(vm: Vm) -> list[Tie]:
    """Return the rules of the VM, each with the hosts of its other VMs."""
    return ties(vm, [ObeyedRule(one.id, one.name, one.kind, one.hard) for one in groups.of_vm(vm.id)])


def ties(vm: Vm, rules: Sequence[ObeyedRule]) -> list[Tie]:
    """Do as ties_of() for rules that were read already."""
    if not rules:
        return []
    others = groups.hosts_of_others(vm.id, [rule.group_id for rule in rules])
    return [Tie(one.group_id, one.name, _kind(one), one.hard, others.get(one.group_id, {})) for one in rules]


def broken_by(vm: Vm, ties: Sequence[Tie]) -> list[str]:
    """Describe the rules that the VM breaks where it is. `ties` are ties_of(vm)."""
    hosts = {host_id for tie in ties for host_id in tie.others}
    if vm.host_id is None or not hosts:
        return []
    return broken(ties, vm.host_id, groups.host_names(hosts))


def is_broken(group: PlacementGroup, vms: Sequence[Vm]) -> bool:
    """Return True if the VMs of the rule break it where they are now."""
    hosts = [vm.host_id for vm in vms if vm.host_id is not None]
    return len(set(hosts)) > 1 if group.kind == "affinity" else len(set(hosts)) < len(hosts)


def _kind(group: PlacementGroup | ObeyedRule) -> Kind:
    return "affinity" if group.kind == "affinity" else "anti_affinity"
