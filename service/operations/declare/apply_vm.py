"""Apply several changes of a VM in turn, each by its own operation's job.

If one fails, the changes before it are kept: declaring the same again continues from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from service.context import Context
from service.db import queries
from service.db.scope import Scope
from service.db.tables import Vm
from service.errors import ConflictError
from service.jobs.changes import waits_for
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.jobs.views import job_view
from service.json_types import Json, JsonObject
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.disks import attach_disk, change_medium, detach_disk, grow_volume
from service.operations.rows.new_vm import NewDisk
from service.operations.vms import pause_vm, resize_vm, resume_vm, shut_down_vm, start_vm

POLL = timedelta(minutes=5)  # usually the end of the awaited job wakes this one long before
Verb = Callable[[Context, Actor, str, Mapping[str, Json]], str]
Change = JsonObject  # {"verb": …, "args": {…}}

VERBS: Mapping[str, Verb] = {
    "attach": lambda ctx, actor, vm, args: attach_disk.request(ctx, actor, vm, NewDisk(**args)),
    "attach_volume": lambda ctx, actor, vm, args: attach_disk.request_existing(
        ctx, actor, vm, args["volume"], args["bus"]
    ),
    "detach": lambda ctx, actor, vm, args: detach_disk.request(ctx, actor, vm, args["disk"], delete=False),
    "grow": lambda ctx, actor, vm, args: grow_volume.request_on_vm(ctx, actor, vm, args["disk"], args["size_bytes"]),
    "insert": lambda ctx, actor, vm, args: change_medium.insert(ctx, actor, vm, args["image"], args["drive"]),
    "eject": lambda ctx, actor, vm, args: change_medium.eject(ctx, actor, vm, args["drive"]),
    "resize": lambda ctx, actor, vm, args: resize_vm.request(ctx, actor, vm, args["flavor"]),
    "start": lambda ctx, actor, vm, args: start_vm.request(ctx, actor, vm, paused=args["paused"]),
    "shut_down": lambda ctx, actor, vm, args: shut_down_vm.request(ctx, actor, vm),
    "pause": lambda ctx, actor, vm, args: pause_vm.request(ctx, actor, vm),
    "resume": lambda ctx, actor, vm, args: resume_vm.request(ctx, actor, vm),
}


def request(ctx: Context, actor: Actor, vm: Vm, changes: Sequence[Change]) -> str:
    """Enqueue the job inside the caller's transaction and return its id.

    A single change is enqueued directly as its own operation's job.
    """
    if len(changes) == 1:
        return _request_change(ctx, actor, vm.id, changes[0])
    verbs = [change["verb"] for change in changes]
    return accept(ctx, actor, OPERATION, vm, args={"changes": list(changes)}, verbs=verbs)


def run(ctx: Context, job: Job) -> None:
    """Request each change once the one before is done."""
    vm = queries.by_id(Vm, job.object_id)
    scope = Scope(project_id=vm.project_id, visible=frozenset({vm.project_id}))
    actor = Actor(name=job.actor, role="user", request_id=job.request_id, scope=scope)
    jobs = []
    for number, change in enumerate(job.args["changes"]):
        child = job.write(f"{number}_{change['verb']}", _request_change, ctx, actor, vm.id, change)
        _await(ctx, job, child)
        jobs.append({"verb": change["verb"], "job_id": child})
    job.finish_with({"jobs": jobs})


OPERATION = Operation(kind="apply_vm", run=run, steps_version=1)


def _request_change(ctx: Context, actor: Actor, vm_id: str, change: Change) -> str:
    return VERBS[change["verb"]](ctx, actor, vm_id, change["args"])


def _await(ctx: Context, job: Job, child: str) -> None:
    view = job_view(child)
    if not view.finished:
        job.wait(waits_for(child), ctx.clock.now() + POLL)
    if view.state != "succeeded":
        raise ConflictError(
            f"Job {child} ({view.kind}) {view.state}: {view.error_detail}", code=view.error_code or "job.cancelled"
        )
