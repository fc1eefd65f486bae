"""nacre vm create …"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.client import Json
from service.cli.errors import UsageError
from service.cli.output import Format, notes, plain, print_one
from service.cli.session import Output, Wait, client, examples, finish, follow, tell_missing
from service.cli.verdicts import print_decision
from service.cli.vm import app, decision_about

PUBLIC_KEY = re.compile(r"(ssh|ecdsa|sk)-\S+ \S+")
DISK_KEYS = ("size", "image", "pool", "bus", "name")
DISK_HELP = "GiB of one more disk, or size=GIB,image=…,pool=…,bus=…,name=…; may be repeated."


def _option(name: str, told: str, **more: Any) -> Any:
    return typer.Option(name, help=told, **more)


SEED = "With or without a seed (default: with one where the image reads it)."
Bus = Annotated[str | None, _option("--bus", "Of the root disk: virtio, scsi, sata, ide.")]
Clock = Annotated[str | None, _option("--clock", "utc, or localtime for Windows.")]
Isos = Annotated[list[str] | None, _option("--iso", "ISO image for a CD-ROM drive; may be repeated.")]
Keys = Annotated[
    list[Path] | None,
    _option("--ssh-key", "Public keys, may be repeated (default: NACRE_SSH_KEY with .pub).", metavar="FILE"),
]


@app.command(
    epilog=examples(
        "nacre vm create web --image debian --flavor small --wait",
        "nacre vm create db --image debian --flavor small --root-gib 40 --disk 100",
        "nacre vm create old --flavor small --iso installer --chipset pc --bus ide",
    )
)
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="1 to 63 of a-z, 0-9 and '-'; also the guest's hostname.")],
    flavor: Annotated[str, _option("--flavor", "How large.")],
    image: Annotated[str | None, _option("--image", "What to clone (none: a blank root disk).")] = None,
    root_gib: Annotated[int | None, _option("--root-gib", "Size of the root disk, if not the flavor's.")] = None,
    pool: Annotated[str | None, _option("--pool", "Of the root disk.")] = None,
    bus: Bus = None,
    disk: Annotated[list[str] | None, _option("--disk", DISK_HELP)] = None,
    iso: Isos = None,
    boot: Annotated[str | None, _option("--boot", "Order of disk, cdrom, network (default: disk,cdrom).")] = None,
    network: Annotated[str | None, _option("--network", "May be left out when there is one.")] = None,
    nic_model: Annotated[str | None, _option("--nic-model", "virtio, e1000, e1000e, rtl8139.")] = None,
    user: Annotated[str | None, _option("--user", "Who may log in (default: the image's).")] = None,
    ssh_key: Keys = None,
    user_data: Annotated[Path | None, _option("--user-data", "For cloud-init.", metavar="FILE")] = None,
    cloud_init: Annotated[bool | None, _option("--cloud-init/--no-cloud-init", SEED)] = None,
    firmware: Annotated[str | None, _option("--firmware", "bios or uefi.")] = None,
    chipset: Annotated[str | None, _option("--chipset", "q35, or pc for old systems.")] = None,
    clock: Clock = None,
    video: Annotated[str | None, _option("--video", "vga, virtio, cirrus.")] = None,
    tag: Annotated[list[str] | None, _option("--tag", "May be repeated.")] = None,
    description: Annotated[str | None, _option("--description", "For people.")] = None,
    placement_group: Annotated[
        list[str] | None, _option("--placement-group", "A rule to obey; may be repeated.")
    ] = None,
    start: Annotated[str | None, _option("--start", "running, paused, stopped.")] = None,
    placement_algorithm: Annotated[
        str | None, _option("--placement-algorithm", "For admins: what places it, say pack.")
    ] = None,
    count: Annotated[int | None, _option("--count", "So many alike: NAME-1, NAME-2 …")] = None,
    as_fit: Annotated[bool, _option("--as-many-as-fit", "With --count: not all or none.")] = False,
    explain: Annotated[bool, _option("--explain", "Show what the placement thought of the hosts.")] = False,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Make a VM and start it."""
    body = _body(context.params)
    if (as_fit and count is None) or (explain and count is not None):
        raise UsageError("--as-many-as-fit goes with --count; --explain does not: 'nacre vm why' tells of each VM.")
    if count is not None:
        _create_many(body | {"count": count} | ({"fit": "most"} if as_fit else {}), wait=wait, how=output)
        return
    job = client().post("/v1/vms", body)
    if explain and "object" in job:
        job |= _explained(job["object"]["id"], output)
    done = f"VM {name} is there" if start or not image else f"VM {name} runs: nacre vm ssh {name}"
    finish(job, wait=wait, how=output, done=done)


def _explained(vm_id: str, how: Format) -> Json:
    """What the placement thought: printed as a table, or as a member for the job's JSON."""
    decision = decision_about(vm_id)
    if how is Format.JSON:
        return {"placement": decision}
    print_decision(decision, how)
    return {}


def _body(said: Json) -> Json:
    """What was said on the command line as the API takes it; what was not said is left to the API."""
    plain = ("name", "image", "flavor", "network", "nic_model", "user", "cloud_init", "firmware", "chipset", "clock")
    body = {key: said[key] for key in (*plain, "video", "description", "start", "placement_algorithm")}
    body |= {
        "root": _without_none({"size_gib": said["root_gib"], "pool": said["pool"], "bus": said["bus"]}) or None,
        "disks": [read_disk(text) for text in said["disk"] or ()] or None,
        "cdroms": [{"image": image} for image in said["iso"] or ()] or None,
        "boot": said["boot"].split(",") if said["boot"] is not None else None,
        "ssh_keys": public_keys(said["ssh_key"]) if said["cloud_init"] is not False or said["ssh_key"] else [],
        "user_data": _read(said["user_data"]) if said["user_data"] is not None else None,
        "tags": said["tag"] or None,
        "placement_groups": said["placement_group"] or None,
    }
    return _without_none(body)


def _create_many(body: Json, *, wait: bool, how: Format) -> None:
    batch = client().post("/v1/vm-batches", body)
    if batch.get("dry_run"):
        finish(batch, wait=wait, how=how, done="")
    jobs = [follow(job) if wait else job for job in batch["items"]]
    if how is Format.JSON:
        print_one({"items": jobs}, how)
        return
    state = "are there" if wait else "are being made: 'nacre job list' shows how far they are"
    notes.print(plain(f"{len(jobs)} VMs, {body['name']}-1 to {body['name']}-{len(jobs)}, {state}"))
    if len(jobs) < body["count"]:
        notes.print(plain(f"{body['count'] - len(jobs)} fit nowhere:"))
    tell_missing(batch)


def read_disk(text: str) -> Json:
    """A disk as people write it: a size in GiB, or key=value pairs."""
    if text.isdecimal():
        return {"size_gib": int(text)}
    parts = dict(part.partition("=")[::2] for part in text.split(","))
    unknown = sorted(set(parts) - set(DISK_KEYS))
    size = parts.pop("size", None)
    if unknown or (size is not None and not size.isdecimal()):
        raise UsageError(f"'{text}' is no disk: write GiB, or size=GIB,image=…,pool=…,bus=…,name=….")
    return {**({"size_gib": int(size)} if size is not None else {}), **parts}


def _without_none(values: Json) -> Json:
    return {key: value for key, value in values.items() if value is not None}


def _read(file: Path) -> str:
    try:
        return file.expanduser().read_text()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is no text: cloud-init's user-data is.") from error


def public_keys(files: list[Path] | None) -> list[str]:
    """The keys in the files; without files that of NACRE_SSH_KEY."""
    if not files:
        key = client().config.ssh_key
        files = [key.with_name(key.name + ".pub")] if key is not None else []
    return [line for file in files for line in _lines(file)]


def _lines(file: Path) -> list[str]:
    """The keys in one file; a private one never leaves this computer."""
    try:
        text = file.expanduser().read_text()
    except OSError as error:
        raise UsageError(f"The public key {file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is no OpenSSH public key.") from error
    if "PRIVATE KEY" in text:
        raise UsageError(f"{file} is a private key: give the public one, {file.name}.pub.")
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if not all(PUBLIC_KEY.match(key) for key in keys):
        raise UsageError(f"{file} is no OpenSSH public key.")
    return keys
