"""VMs that somebody else started, over HTTP."""

from __future__ import annotations

from typing import cast

from service.api.models.hosts import AdoptVm
from service.edge.call import Accepted, Call, Reply
from service.operations.vms import adopt_vm, confirm_vm


def adopt(call: Call) -> Accepted:
    """Take in a running domain whose disks are on RBD: it is only looked at until it is confirmed."""
    body = cast(AdoptVm, call.body)
    addresses = {mac.lower(): str(address) for mac, address in body.addresses.items()}
    new = adopt_vm.Adoption(
        host=body.host, domain=str(body.domain), name=body.name, flavor=body.flavor, addresses=addresses
    )
    return Accepted(adopt_vm.request(call.ctx, call.actor, new))


def confirm(call: Call) -> Accepted:
    """Take an adopted VM over: from now on it is one like the others."""
    return Accepted(confirm_vm.request(call.ctx, call.actor, call.ref))


def release(call: Call) -> Reply:
    """Forget an adopted VM that was not confirmed; it runs on."""
    confirm_vm.release(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)
