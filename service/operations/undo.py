"""Undo verbs: idempotent; they do nothing if there is nothing to undo.

After an error the job waits and retries.
"""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Host
from service.operations import state_changes
from service.operations.on_host.domain_spec import endpoint
from service.operations.rows import vm_rows
from storage.refs import VolumeRef


def remove_volume(ctx: Context, pool: str, name: str) -> None:
    """Remove a VM's volume."""
    ctx.storage.remove_volume(VolumeRef(pool, name))


def force_off(ctx: Context, vm_id: str, host_id: str) -> None:
    """End the VM's domain on one host."""
    ctx.hypervisors.on(endpoint(queries.by_id(Host, host_id))).force_off(vm_id)


def take_off(ctx: Context, vm_id: str, desired_state: str) -> None:
    """Undo a start: release the capacity and restore the desired state."""
    with transaction(ctx.db):
        vm_rows.take_off(ctx, vm_id)
        state_changes.change_vm(ctx, vm_id, desired_state=desired_state)


def keep_vm(ctx: Context, vm_id: str, desired_state: str, observed_state: str) -> None:
    """Undo a deletion: restore the states."""
    with transaction(ctx.db):
        state_changes.change_vm(ctx, vm_id, desired_state=desired_state, observed_state=observed_state)


def forget_vm(ctx: Context, vm_id: str) -> None:
    """Undo a creation: remove the VM's rows."""
    with transaction(ctx.db):
        vm_rows.forget(vm_id)
