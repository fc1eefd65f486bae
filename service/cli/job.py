"""Commands nacre job."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import at
from service.cli.output import Column, Format, age, print_one, print_rows
from service.cli.session import Output, Wait, client, finish, group

app = group("Jobs: work that the service runs in the background.")

COLUMNS: tuple[Column, ...] = (
    ("ID", lambda job: job["id"]),
    ("KIND", lambda job: job["kind"]),
    ("STATE", lambda job: f"running {job['progress']:.0%}" if job["state"] == "running" else job["state"]),
    ("AGE", lambda job: age(client().age_s(job["created_at"]))),
    ("REASON", lambda job: job["reason"] or (job["error"] or {}).get("detail")),
)
JobId = Annotated[str, typer.Argument(help="The job's id: 'nacre job list' shows it.")]


@app.command("list")
def list_jobs(
    state: Annotated[
        str | None,
        typer.Option(help="Only jobs in this state: queued, waiting, running, succeeded, failed, cancelled."),
    ] = None,
    limit: Annotated[int, typer.Option(help="Maximum number of jobs.")] = 20,
    rounds: Annotated[bool, typer.Option("--rounds", help="Include the service's own periodic jobs.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """List jobs, newest first."""
    query = {"limit": str(limit), "rounds": str(rounds).lower()} | ({"state": state} if state else {})
    print_rows(client().get("/v1/jobs", **query)["items"], COLUMNS, output)


@app.command()
def show(job_id: JobId, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Show a job with its phases; with --wait, wait for its end first."""
    job = client().get(at("jobs", job_id))
    if wait:
        job = finish(job, wait=True, how=Format.TABLE, done=f"job {job_id} succeeded")
    if output is Format.JSON:
        print_one(job, output)
        return
    phases = job.pop("phases")
    print_one(job, output)
    print_rows(phases, (("PHASE", lambda phase: phase["name"]), ("MS", lambda phase: phase["ms"])), output)


@app.command()
def cancel(job_id: JobId, output: Output = Format.TABLE) -> None:
    """Cancel a job: the steps done so far are undone."""
    print_one(client().delete(at("jobs", job_id)), output)
