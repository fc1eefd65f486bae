"""What every command needs: the client, made when first used, and jobs followed with a progress bar."""

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
# A worker takes a job within milliseconds: one that stays queued for this many looks has none.
LOOKS_WHILE_QUEUED = 5
ON_HOSTS: tuple[Column, ...] = (("HOST", lambda row: row["host"]), ("VMS", lambda row: row["vms"]))
_asked: dict[str, Any] = {"project": "", "reason": "", "dry_run": False}

Output = Annotated[Format, typer.Option("--output", "-o", help="How to print the result.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the job has ended.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def examples(*lines: str) -> str:
    """What a command's help ends with; "\\b" keeps its lines as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def group(purpose: str) -> typer.Typer:
    """A group of commands. Plain help: a box around it cuts the names of long options at 80 columns."""
    return typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=purpose)


@functools.cache
def client() -> Client:
    """The one connection of this process."""
    config = load_config()
    made = Client(replace(config, project=_asked["project"] or config.project, reason=_asked["reason"]))
    made.dry_run = _asked["dry_run"]
    return made


def ask_for(*, project: str, reason: str, dry_run: bool = False) -> None:
    """What this call of the command says of itself; "" leaves it to the environment."""
    if not reason.isprintable():
        raise UsageError("--reason is one line of text.")
    _asked.update(project=project, reason=reason, dry_run=dry_run)


def sure(question: str, *, yes: bool) -> None:
    """Ask before something is lost, unless told not to or nothing will really be done. "No" ends the command."""
    if not yes and not _asked["dry_run"]:
        typer.confirm(question, abort=True, err=True)


def print_owned(rows: list[Json], columns: tuple[Column, ...], how: Format) -> None:
    """Print what projects own; of several projects with theirs in front, because a name is of one project only."""
    if how is Format.TABLE and len({row["project_id"] for row in rows}) > 1:
        names = {project["id"]: project["name"] for project in client().items("/v1/projects")}
        columns = (("PROJECT", lambda row: names.get(row["project_id"], row["project_id"])), *columns)
    print_rows(rows, columns, how)


def stale(observed_at: str | None) -> str:
    """How long ago something was seen, when that is too long ago to rely on; else nothing."""
    age_s = client().age_s(observed_at)
    return f"seen {age(age_s)} ago" if age_s > STALE_S else ""


def finish(job: Json, *, wait: bool, how: Format, done: str) -> Json:
    """Follow a job to its end when asked to, and say what became of it; returns the job as last seen.

    What was only tried is told, and ends the command.
    """
    if job.get("dry_run"):
        _tell_trial(job, how)
        raise typer.Exit
    if wait:
        job = job | follow(job)
    if how is Format.JSON:
        print_one(job, how)
    elif wait:
        notes.print(plain(done))
    else:
        notes.print(plain(f"job {job['id']} is {job['state']}: 'nacre job show {job['id']} --wait' follows it"))
    return job


def _tell_trial(trial: Json, how: Format) -> None:
    if how is Format.JSON:
        print_one(trial, how)
        return
    done = f"these {len(trial['placements'])} VMs would be placed" if trial["placements"] else "nothing would be done"
    notes.print(plain(f"this would be done: {trial['job']['kind']}" if trial["job"] else done))
    if len(trial["placements"]) == 1:
        print_decision(trial["placements"][0], how)
    elif trial["placements"]:
        hosts = Counter(placement["chosen"]["host_name"] for placement in trial["placements"])
        print_rows([{"host": host, "vms": vms} for host, vms in sorted(hosts.items())], ON_HOSTS, how)
    tell_missing(trial)


def tell_missing(batch: Json) -> None:
    """Why not all VMs of a batch found a host, or would."""
    if batch.get("why_not_all"):
        notes.print(plain(batch["why_not_all"]))
        for line in grouped(batch.get("reasons") or {}):
            notes.print(plain(f"  {line}"))


def follow(job: Json) -> Json:
    """The job at its end, with a progress bar on the way. Raises JobFailedError."""
    if job.get("dry_run"):
        _tell_trial(job, Format.TABLE)
        raise typer.Exit
    if not notes.is_terminal:
        return _follow_quietly(job)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes, transient=True) as progress:
        bar = progress.add_task(job["kind"], total=1.0)
        for seen in client().follow(job):
            job = seen
            progress.update(bar, completed=job["progress"], description=_doing(job))
    return _succeeded(job)


def _follow_quietly(job: Json) -> Json:
    """In a log: a line when the job comes to a halt, and why."""
    told = ""
    for look, seen in enumerate(client().follow(job)):
        job = seen
        halted = job["state"] == "waiting" or (job["state"] == "queued" and look >= LOOKS_WHILE_QUEUED)
        if halted and _doing(job) != told:
            told = _doing(job)
            notes.print(plain(f"job {job['id']}: {told}"))
    return _succeeded(job)


def _succeeded(job: Json) -> Json:
    if job["state"] != "succeeded":
        raise JobFailedError(_why(job))
    return job


def _doing(job: Json) -> str:
    if job["state"] == "queued":
        return f"{job['kind']}: queued until a worker takes it"
    if job["state"] == "waiting":
        return f"{job['kind']}: waiting, {job['reason']}"
    details = " ".join(part for part in (job["phase"], job["progress_text"]) if part)
    return f"{job['kind']}: {details or job['state']}"


def _why(job: Json) -> str:
    if job["state"] not in FINAL_STATES:
        return f"job {job['id']} is {job['state']}"
    error = job["error"] or {"code": "job.cancelled", "detail": "cancelled on request"}
    return f"{job['kind']} {job['state']}: {error['detail']} [{error['code']}]"
