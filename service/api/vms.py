"""VMs over HTTP."""

from __future__ import annotations

from typing import cast

from service.api import show
from service.api.call import Accepted, Call, Reply
from service.api.models import CreateVm, MigrateVm
from service.db import queries
from service.db.tables import Vm
from service.operations import (
    create_vm,
    delete_vm,
    force_off_vm,
    migrate_vm,
    reset_vm,
    shut_down_vm,
    start_vm,
)


def listing(_call: Call) -> Reply:
    """All VMs."""
    return Reply({"items": [show.vm(row) for row in queries.everything(Vm)]})


def one(call: Call) -> Reply:
    """One VM with its disks and cards."""
    return Reply(show.vm_in_full(queries.get(Vm, call.ref)))


def placement(call: Call) -> Reply:
    """Why the VM is where it is."""
    vm = queries.get(Vm, call.ref)
    row = queries.last_placement(vm.id)
    return Reply(show.placement(row) if row else {})


def create(call: Call) -> Accepted:
    """Make a VM and start it."""
    body = cast(CreateVm, call.body)
    new = create_vm.NewVm(
        name=body.name,
        image=body.image,
        flavor=body.flavor,
        network=body.network,
        user=body.user,
        ssh_keys=tuple(body.ssh_keys),
    )
    return Accepted(create_vm.request(call.ctx, call.actor, new))


def delete(call: Call) -> Accepted:
    """Delete a VM with its disks."""
    return Accepted(delete_vm.request(call.ctx, call.actor, call.ref))


def start(call: Call) -> Accepted:
    """Start a stopped VM."""
    return Accepted(start_vm.request(call.ctx, call.actor, call.ref))


def shut_down(call: Call) -> Accepted:
    """Ask the guest to power off."""
    return Accepted(shut_down_vm.request(call.ctx, call.actor, call.ref))


def force_off(call: Call) -> Accepted:
    """End a VM at once."""
    return Accepted(force_off_vm.request(call.ctx, call.actor, call.ref))


def reset(call: Call) -> Accepted:
    """Reset a running VM."""
    return Accepted(reset_vm.request(call.ctx, call.actor, call.ref))


def migrate(call: Call) -> Accepted:
    """Move a running VM to another host."""
    body = cast(MigrateVm, call.body)
    return Accepted(migrate_vm.request(call.ctx, call.actor, call.ref, body.host))
