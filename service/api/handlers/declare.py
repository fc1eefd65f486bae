"""`PUT` of a VM: the definition that it shall have."""

from __future__ import annotations

from typing import cast

from service.api.handlers import vms
from service.api.models.vms import CreateVm
from service.edge.call import Accepted, Call, Reply
from service.operations.declare.declare_vm import declare
from service.operations.declare.vm_difference import Declared


def declare_vm(call: Call) -> Accepted | Reply:
    """Have a VM as it is declared: make it, change what differs, or leave it alone.

    What the body leaves out stays as it is. Disks are matched by name, those without one in their order; one that is no
    longer declared is detached and kept. What a VM keeps for life, and is declared otherwise, is a 409 that names it.
    """
    body = cast(CreateVm, call.body)
    stated = body.model_fields_set | {f"root.{name}" for name in body.root.model_fields_set}
    came = declare(call.ctx, call.actor, call.ref, Declared(vms.new_vm(body), frozenset(stated)))
    told = {
        "vm_id": came.vm_id,
        "created": came.created,
        "changed": came.created or bool(came.differences),
        "diff": [one.shown() for one in came.differences],
    }
    if came.job_id is None:
        return Reply({**told, "job": None})
    return Accepted(came.job_id, told=told)
