"""Handlers for VMs that Nacre did not start."""

from __future__ import annotations

from service.api.models.hosts import AdoptVm
from service.edge.call import Accepted, Call, Reply
from service.operations.vms import adopt_vm, confirm_vm


def adopt(call: Call[AdoptVm]) -> Accepted:
    """Adopt a running domain whose disks are on RBD.

    Nacre only observes the VM until it is confirmed.
    """
    body = call.body
    addresses = {mac.lower(): str(address) for mac, address in body.addresses.items()}
    new = adopt_vm.Adoption(
        host=body.host, domain=str(body.domain), name=body.name, flavor=body.flavor, addresses=addresses
    )
    return Accepted(adopt_vm.request(call.ctx, call.actor, new))


def confirm(call: Call) -> Accepted:
    """Confirm an adopted VM: Nacre manages it like any other."""
    return Accepted(confirm_vm.request(call.ctx, call.actor, call.ref))


def release(call: Call) -> Reply:
    """Release an adopted VM that is not confirmed; it keeps running."""
    confirm_vm.release(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)
