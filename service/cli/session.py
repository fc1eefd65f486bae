"""Shared parts of all commands: the client, global options, and progress of jobs."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from service.cli.client import FINAL_STATES, Client, Json
from service.cli.config import load_config
from service.cli.errors import JobFailedError, UsageError
from service.cli.output import Column, Format, age, notes, plain, print_one, print_rows
from service.cli.reasons import grouped
from service.cli.verdicts import print_decision

STALE_S = 60
# A worker claims a job within milliseconds: if it is still queued after this many polls, no worker runs.
POLLS_WHILE_QUEUED = 5
ON_HOSTS: tuple[Column, ...] = (("HOST", lambda row: row["host"]), ("VMS", lambda row: row["vms"]))
_global_options: dict[str, Any] = {"project": "", "reason": "", "dry_run": False}

Output = Annotated[Format, typer.Option("--output", "-o", help="Format of the result.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the end of the job.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def examples(*lines: str) -> str:
    """Return the examples in a command's help; "\\b" stops Click from refilling them."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def group(purpose: str) -> typer.Typer:
    """Return a group of commands.

    Its help has no boxes: at 80 columns they cut off long option names.
    """
    return typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=purpose)


@functools.cache
def client() -> Client:
    """Return the client of this process, created on first use."""
    config = load_config()
    api = Client(
        replace(config, project=_global_options["project"] or config.project, reason=_global_options["reason"])
    )
    api.dry_run = _global_options["dry_run"]
    return api


def set_global_options(*, project: str, reason: str, dry_run: bool = False) -> None:
    """Store the options given before the command; "" means the environment's value."""
    if not reason.isprintable():
        raise UsageError("--reason must be one line of text.")
    _global_options.update(project=project, reason=reason, dry_run=dry_run)


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation, except with `yes` or --dry-run; "no" ends the command."""
    if not yes and not _global_options["dry_run"]:
        typer.confirm(question, abort=True, err=True)


def print_owned(rows: list[Json], columns: tuple[Column, ...], how: Format) -> None:
    """Print rows that projects own.

    Rows of several projects get a PROJECT column, because names are unique per project only.
    """
    if how is Format.TABLE and len({row["project_id"] for row in rows}) > 1:
        names = {project["id"]: project["name"] for project in client().items("/v1/projects")}
        columns = (("PROJECT", lambda row: names.get(row["project_id"], row["project_id"])), *columns)
    print_rows(rows, columns, how)


def stale(observed_at: str | None) -> str:
    """Return the age of a stale observation as text; "" for a fresh one."""
    age_s = client().age_s(observed_at)
    return f"observed {age(age_s)} ago" if age_s > STALE_S else ""


def finish(job: Json, *, wait: bool, how: Format, done: str) -> Json:
    """Wait for a job if `wait`, print its outcome, and return the job.

    A dry run prints its result and ends the command.
    """
    if job.get("dry_run"):
        _print_dry_run(job, how)
        raise typer.Exit
    if wait:
        job = job | follow(job)
    if how is Format.JSON:
        print_one(job, how)
    elif wait:
        notes.print(plain(done))
    else:
        notes.print(plain(f"job {job['id']} is {job['state']}: 'nacre job show {job['id']} --wait' waits for it"))
    return job


def _print_dry_run(result: Json, how: Format) -> None:
    if how is Format.JSON:
        print_one(result, how)
        return
    done = f"these {len(result['placements'])} VMs would be placed" if result["placements"] else "nothing would be done"
    notes.print(plain(f"this would be done: {result['job']['kind']}" if result["job"] else done))
    if len(result["placements"]) == 1:
        print_decision(result["placements"][0], how)
    elif result["placements"]:
        hosts = Counter(placement["chosen"]["host_name"] for placement in result["placements"])
        print_rows([{"host": host, "vms": vms} for host, vms in sorted(hosts.items())], ON_HOSTS, how)
    print_unplaced(result)


def print_unplaced(batch: Json) -> None:
    """Print why some VMs of a batch have no host."""
    if batch.get("why_not_all"):
        notes.print(plain(batch["why_not_all"]))
        for line in grouped(batch.get("reasons") or {}):
            notes.print(plain(f"  {line}"))


def follow(job: Json) -> Json:
    """Wait for a job with a progress bar and return it. Raises JobFailedError."""
    if job.get("dry_run"):
        _print_dry_run(job, Format.TABLE)
        raise typer.Exit
    if not notes.is_terminal:
        return _follow_quietly(job)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes, transient=True) as progress:
        bar = progress.add_task(job["kind"], total=1.0)
        for update in client().follow(job):
            job = update
            progress.update(bar, completed=job["progress"], description=_format_progress(job))
    return _check_succeeded(job)


def _follow_quietly(job: Json) -> Json:
    """Wait for a job; print one line each time it stops making progress, with the reason."""
    printed = ""
    for polls, update in enumerate(client().follow(job)):
        job = update
        halted = job["state"] == "waiting" or (job["state"] == "queued" and polls >= POLLS_WHILE_QUEUED)
        if halted and _format_progress(job) != printed:
            printed = _format_progress(job)
            notes.print(plain(f"job {job['id']}: {printed}"))
    return _check_succeeded(job)


def _check_succeeded(job: Json) -> Json:
    if job["state"] != "succeeded":
        raise JobFailedError(_format_failure(job))
    return job


def _format_progress(job: Json) -> str:
    if job["state"] == "queued":
        return f"{job['kind']}: queued, no worker has claimed it yet"
    if job["state"] == "waiting":
        return f"{job['kind']}: waiting, {job['reason']}"
    details = " ".join(part for part in (job["phase"], job["progress_text"]) if part)
    return f"{job['kind']}: {details or job['state']}"


def _format_failure(job: Json) -> str:
    if job["state"] not in FINAL_STATES:
        return f"job {job['id']} is {job['state']}"
    error = job["error"] or {"code": "job.cancelled", "detail": "cancelled on request"}
    return f"{job['kind']} {job['state']}: {error['detail']} [{error['code']}]"
