"""Handlers for VMs."""

from __future__ import annotations

from service.api.handlers.disks import new_disk
from service.api.models.disks import DeleteVm
from service.api.models.vms import CreateVm, CreateVms, ListVms, MigrateVm, RenameVm, ResizeVm, StartVm, UpdateVm
from service.db import queries
from service.db.tables import Vm
from service.edge import paging
from service.edge.call import Accepted, Call, Reply
from service.edge.models import GIB
from service.jobs.views import job_view
from service.operations.rows.new_vm import NewDisk, NewDrive, NewVm
from service.operations.vms import (
    create_vm,
    delete_vm,
    edit_vm,
    force_off_vm,
    migrate_vm,
    pause_vm,
    rename_vm,
    reset_vm,
    resize_vm,
    resume_vm,
    shut_down_vm,
    start_vm,
)
from service.views.jobs import show_job
from service.views.placements import show_placement
from service.views.vms import show_vm_in_full, show_vms


def list_(call: Call[None, ListVms]) -> Reply:
    """List VMs, without their disks."""
    found = paging.equal(call, queries.readable(Vm, call.actor.scope), name=Vm.name, observed_state=Vm.observed_state)
    found = paging.related(call, found, host=Vm.host, flavor=Vm.flavor, image=Vm.image)
    return paging.named(call, found, Vm, show_vms)


def show(call: Call) -> Reply:
    """Show a VM with its disks and network cards."""
    return Reply(show_vm_in_full(queries.get(Vm, call.ref, call.actor.scope)))


def placement(call: Call) -> Reply:
    """Show why a VM is on its host."""
    vm = queries.get(Vm, call.ref, call.actor.scope)
    row = queries.last_placement(vm.id)
    return Reply(show_placement(row) if row else {})


def create(call: Call[CreateVm]) -> Accepted:
    """Create a VM and start it."""
    return Accepted(create_vm.request(call.ctx, call.actor, new_vm(call.body)))


def create_many(call: Call[CreateVms]) -> Reply:
    """Create several equal VMs as one batch: all or none, or as many as fit."""
    body = call.body
    most = body.fit == "most"
    batch = create_vm.request_many(call.ctx, call.actor, new_vm(body), body.count, as_many_as_fit=most)
    items = [show_job(job_view(job_id)) for job_id in batch.jobs]
    why_not = {"why_not_all": batch.why_not_all, "reasons": dict(batch.reasons)}
    return Reply({"items": items} | why_not, status=202)


def update(call: Call[UpdateVm]) -> Reply:
    """Update a VM's description, tags, boot order and placement groups."""
    body = call.body
    changes = edit_vm.VmChanges(
        description=body.description,
        tags=tuple(body.tags) if body.tags is not None else None,
        boot=tuple(body.boot) if body.boot is not None else None,
        placement_groups=tuple(body.placement_groups) if body.placement_groups is not None else None,
    )
    return Reply(show_vm_in_full(edit_vm.edit(call.ctx, call.actor, call.ref, changes)))


def rename(call: Call[RenameVm]) -> Accepted:
    """Rename a VM; the hostname inside the guest is unchanged."""
    return Accepted(rename_vm.request(call.ctx, call.actor, call.ref, call.body.name))


def resize(call: Call[ResizeVm]) -> Accepted:
    """Resize a VM to another flavor, by hot-plug if possible, else at its next start."""
    return Accepted(resize_vm.request(call.ctx, call.actor, call.ref, call.body.flavor))


def delete(call: Call[None, DeleteVm]) -> Accepted:
    """Delete a VM with its disks."""
    keep_disks = call.query.keep_disks
    return Accepted(delete_vm.request(call.ctx, call.actor, call.ref, keep_disks=keep_disks))


def start(call: Call[StartVm]) -> Accepted:
    """Start a stopped VM on the best host."""
    return Accepted(start_vm.request(call.ctx, call.actor, call.ref, paused=call.body.paused))


def pause(call: Call) -> Accepted:
    """Pause a running VM: its vCPUs stop, its memory is kept."""
    return Accepted(pause_vm.request(call.ctx, call.actor, call.ref))


def resume(call: Call) -> Accepted:
    """Resume a paused VM."""
    return Accepted(resume_vm.request(call.ctx, call.actor, call.ref))


def shut_down(call: Call) -> Accepted:
    """Shut down a VM: ask its guest to power off."""
    return Accepted(shut_down_vm.request(call.ctx, call.actor, call.ref))


def force_off(call: Call) -> Accepted:
    """Force off a VM at once, like pulling the power plug."""
    return Accepted(force_off_vm.request(call.ctx, call.actor, call.ref))


def reset(call: Call) -> Accepted:
    """Reset a running VM, like its reset button."""
    return Accepted(reset_vm.request(call.ctx, call.actor, call.ref))


def migrate(call: Call[MigrateVm]) -> Accepted:
    """Migrate a running VM to another host, live."""
    body = call.body
    return Accepted(migrate_vm.request(call.ctx, call.actor, call.ref, body.host))


def new_vm(body: CreateVm) -> NewVm:
    """Return the VM that a body describes."""
    size_bytes = body.root.size_gib * GIB if body.root.size_gib is not None else None
    return NewVm(
        name=body.name,
        flavor=body.flavor,
        root=NewDisk(size_bytes, image=body.image, pool=body.root.pool, bus=body.root.bus),
        disks=tuple(new_disk(disk) for disk in body.disks),
        drives=tuple(NewDrive(image=drive.image, bus=drive.bus) for drive in body.cdroms),
        boot=tuple(body.boot),
        network=body.network,
        nic_model=body.nic_model,
        user=body.user,
        ssh_keys=tuple(body.ssh_keys),
        user_data=body.user_data.get_secret_value() if body.user_data is not None else None,
        cloud_init=body.cloud_init,
        firmware=body.firmware,
        chipset=body.chipset,
        clock=body.clock,
        video=body.video,
        tags=tuple(body.tags),
        description=body.description,
        placement_groups=tuple(body.placement_groups),
        start=body.start,
        placement_algorithm=body.placement_algorithm,
    )
