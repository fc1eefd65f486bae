"""Handler of `PUT` of a VM: its declared definition."""

from __future__ import annotations

from service.api.handlers import vms
from service.api.models.vms import CreateVm
from service.edge.call import Accepted, Call, Reply
from service.operations.declare.declare_vm import declare
from service.operations.declare.vm_difference import Declared


def declare_vm(call: Call[CreateVm]) -> Accepted | Reply:
    """Apply a declaration of a VM: create the VM, or update what differs.

    Fields that the body leaves out are not changed. Disks are matched by name, those without a name by their order; a
    disk that is no longer declared is detached and kept. A difference in a field that cannot be changed is a 409 that
    names the field.
    """
    body = call.body
    stated = body.model_fields_set | {f"root.{name}" for name in body.root.model_fields_set}
    came = declare(call.ctx, call.actor, call.ref, Declared(vms.new_vm(body), frozenset(stated)))
    result = {
        "vm_id": came.vm_id,
        "created": came.created,
        "changed": came.created or bool(came.differences),
        "diff": [one.shown() for one in came.differences],
    }
    if came.job_id is None:
        return Reply({**result, "job": None})
    return Accepted(came.job_id, body=result)
