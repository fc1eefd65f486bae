"""Command nacre vm create."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.client import Json
from service.cli.errors import UsageError
from service.cli.output import Format, notes, plain, print_one
from service.cli.session import Output, Wait, client, examples, finish, follow, print_unplaced
from service.cli.verdicts import print_decision
from service.cli.vm import app, decision_about

PUBLIC_KEY = re.compile(r"(ssh|ecdsa|sk)-\S+ \S+")
DISK_KEYS = ("size", "image", "pool", "bus", "name")
DISK_HELP = "Extra disk: GIB, or size=GIB,image=…,pool=…,bus=…,name=…; may be repeated."


def _option(name: str, text: str, **settings: Any) -> Any:
    return typer.Option(name, help=text, **settings)


SEED = "With a cloud-init seed, or without (default: if the image has cloud-init)."
Bus = Annotated[str | None, _option("--bus", "Bus of the root disk: virtio, scsi, sata, ide.")]
Clock = Annotated[str | None, _option("--clock", "Hardware clock: utc, or localtime for Windows.")]
Isos = Annotated[list[str] | None, _option("--iso", "ISO image in a CD-ROM drive; may be repeated.")]
Keys = Annotated[
    list[Path] | None,
    _option("--ssh-key", "File of public SSH keys; may be repeated (default: NACRE_SSH_KEY.pub).", metavar="FILE"),
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
    flavor: Annotated[str, _option("--flavor", "Flavor: vCPUs, memory and default disk size.")],
    image: Annotated[str | None, _option("--image", "Image to clone (default: a blank root disk).")] = None,
    root_gib: Annotated[int | None, _option("--root-gib", "GiB of the root disk (default: the flavor's).")] = None,
    pool: Annotated[str | None, _option("--pool", "Pool of the root disk.")] = None,
    bus: Bus = None,
    disk: Annotated[list[str] | None, _option("--disk", DISK_HELP)] = None,
    iso: Isos = None,
    boot: Annotated[str | None, _option("--boot", "Boot order of disk, cdrom, network (default: disk,cdrom).")] = None,
    network: Annotated[str | None, _option("--network", "Guest network (default: the only one).")] = None,
    nic_model: Annotated[str | None, _option("--nic-model", "Network card: virtio, e1000, e1000e, rtl8139.")] = None,
    user: Annotated[str | None, _option("--user", "User created by cloud-init (default: the image's).")] = None,
    ssh_key: Keys = None,
    user_data: Annotated[Path | None, _option("--user-data", "User-data for cloud-init.", metavar="FILE")] = None,
    cloud_init: Annotated[bool | None, _option("--cloud-init/--no-cloud-init", SEED)] = None,
    firmware: Annotated[str | None, _option("--firmware", "Firmware: bios or uefi.")] = None,
    chipset: Annotated[str | None, _option("--chipset", "Chipset: q35, or pc for old systems.")] = None,
    clock: Clock = None,
    video: Annotated[str | None, _option("--video", "Graphics card: vga, virtio, cirrus.")] = None,
    tag: Annotated[list[str] | None, _option("--tag", "Tag; may be repeated.")] = None,
    description: Annotated[str | None, _option("--description", "Description of the VM.")] = None,
    placement_group: Annotated[
        list[str] | None, _option("--placement-group", "Placement group to join; may be repeated.")
    ] = None,
    start: Annotated[str | None, _option("--start", "State after creation: running, paused, stopped.")] = None,
    placement_algorithm: Annotated[
        str | None, _option("--placement-algorithm", "Placement algorithm, for example pack (admins only).")
    ] = None,
    count: Annotated[int | None, _option("--count", "Number of equal VMs, named NAME-1, NAME-2 …")] = None,
    as_fit: Annotated[bool, _option("--as-many-as-fit", "With --count: not all or none.")] = False,
    explain: Annotated[bool, _option("--explain", "Show the placement's scores and reasons for every host.")] = False,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Create a VM and start it."""
    body = _body(context.params)
    if (as_fit and count is None) or (explain and count is not None):
        raise UsageError("--as-many-as-fit needs --count, and --explain cannot be used with it: use 'nacre vm why'.")
    if count is not None:
        _create_many(body | {"count": count} | ({"fit": "most"} if as_fit else {}), wait=wait, how=output)
        return
    job = client().post("/v1/vms", body)
    if explain and "object" in job:
        job |= _explained(job["object"]["id"], output)
    done = f"VM {name} is created" if start or not image else f"VM {name} is running: nacre vm ssh {name}"
    finish(job, wait=wait, how=output, done=done)


def _explained(vm_id: str, how: Format) -> Json:
    """Print the placement decision as a table, or return it as a member of the job's JSON."""
    decision = decision_about(vm_id)
    if how is Format.JSON:
        return {"placement": decision}
    print_decision(decision, how)
    return {}


def _body(options: Json) -> Json:
    """Return the request body; options that were not given are left out."""
    unchanged = (
        "name",
        "image",
        "flavor",
        "network",
        "nic_model",
        "user",
        "cloud_init",
        "firmware",
        "chipset",
        "clock",
    )
    body = {key: options[key] for key in (*unchanged, "video", "description", "start", "placement_algorithm")}
    body |= {
        "root": _without_none({"size_gib": options["root_gib"], "pool": options["pool"], "bus": options["bus"]})
        or None,
        "disks": [read_disk(text) for text in options["disk"] or ()] or None,
        "cdroms": [{"image": image} for image in options["iso"] or ()] or None,
        "boot": options["boot"].split(",") if options["boot"] is not None else None,
        "ssh_keys": public_keys(options["ssh_key"]) if options["cloud_init"] is not False or options["ssh_key"] else [],
        "user_data": _read(options["user_data"]) if options["user_data"] is not None else None,
        "tags": options["tag"] or None,
        "placement_groups": options["placement_group"] or None,
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
    state = "are created" if wait else "are being created: 'nacre job list' shows their progress"
    notes.print(plain(f"{len(jobs)} VMs, {body['name']}-1 to {body['name']}-{len(jobs)}, {state}"))
    if len(jobs) < body["count"]:
        notes.print(plain(f"{body['count'] - len(jobs)} fit on no host:"))
    print_unplaced(batch)


def read_disk(text: str) -> Json:
    """Return a disk as a request body. Raises UsageError.

    `text` is a size in GiB, or key=value pairs.
    """
    if text.isdecimal():
        return {"size_gib": int(text)}
    parts = dict(part.partition("=")[::2] for part in text.split(","))
    unknown = sorted(set(parts) - set(DISK_KEYS))
    size = parts.pop("size", None)
    if unknown or (size is not None and not size.isdecimal()):
        raise UsageError(f"'{text}' is not a disk: write GIB, or size=GIB,image=…,pool=…,bus=…,name=….")
    return {**({"size_gib": int(size)} if size is not None else {}), **parts}


def _without_none(values: Json) -> Json:
    return {key: value for key, value in values.items() if value is not None}


def _read(file: Path) -> str:
    try:
        return file.expanduser().read_text()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not a text file, as user-data for cloud-init must be.") from error


def public_keys(files: list[Path] | None) -> list[str]:
    """Return the public keys in the files; without files, the key of NACRE_SSH_KEY."""
    if not files:
        key = client().config.ssh_key
        files = [key.with_name(key.name + ".pub")] if key is not None else []
    return [line for file in files for line in _lines(file)]


def _lines(file: Path) -> list[str]:
    """Return the public keys in one file. Raises UsageError on a private key."""
    try:
        text = file.expanduser().read_text()
    except OSError as error:
        raise UsageError(f"The public key {file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not an OpenSSH public key.") from error
    if "PRIVATE KEY" in text:
        raise UsageError(f"{file} is a private key: use the public key, {file.name}.pub.")
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if not all(PUBLIC_KEY.match(key) for key in keys):
        raise UsageError(f"{file} is not an OpenSSH public key.")
    return keys
