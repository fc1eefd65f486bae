"""Hold a running VM still: its memory stays on its host, its processors stand."""

from __future__ import annotations

from service.context import Context
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import processors
from service.operations.actor import Actor


def request(ctx: Context, actor: Actor, ref: str) -> str:
    """Enqueue; returns the job's id."""
    return processors.request(ctx, actor, ref, OPERATION)


def run(ctx: Context, job: Job) -> None:
    """Stop the processors."""
    job.step("pause", processors.turn, ctx, job, "paused")


OPERATION = Operation(kind="pause_vm", run=run, steps_version=1)
