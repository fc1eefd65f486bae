"""Resume a paused VM, or one that was stopped by a failed write."""

from __future__ import annotations

from service.context import Context
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations.actor import Actor
from service.operations.vms import pause_resume


def request(ctx: Context, actor: Actor, ref: str) -> str:
    """Enqueue the job and return its id."""
    return pause_resume.request(ctx, actor, ref, OPERATION)


def run(ctx: Context, job: Job) -> None:
    """Resume the vCPUs."""
    job.step("resume", pause_resume.turn, ctx, job, "running")


OPERATION = Operation(kind="resume_vm", run=run, steps_version=1)
