"""nacre image …"""

from __future__ import annotations

import enum
from pathlib import Path, PurePosixPath
from typing import Annotated
from urllib.parse import urlsplit

import typer

from service.cli import upload as pieces
from service.cli.client import Json, at
from service.cli.errors import UsageError
from service.cli.output import Column, Format, notes, plain, print_one, print_rows, size
from service.cli.session import Output, Wait, Yes, client, examples, finish, group, sure

app = group("Images that VMs are cloned from, and ISOs for their CD-ROM drives.")


class ImageFormat(enum.StrEnum):
    """What a file may be declared to be, once its compression is off."""

    RAW = "raw"
    QCOW2 = "qcow2"
    ISO = "iso"


class Compression(enum.StrEnum):
    """How a file may be compressed."""

    NONE = "none"
    GZ = "gz"
    XZ = "xz"
    BZ2 = "bz2"
    ZST = "zst"


class Visibility(enum.StrEnum):
    """Who sees an image beside its project."""

    PRIVATE = "private"
    SHARED = "shared"
    PUBLIC = "public"


class Kind(enum.StrEnum):
    """What an image is for."""

    DISK = "disk"
    ISO = "iso"


SUFFIXES = {
    ".qcow2": ImageFormat.QCOW2,
    ".raw": ImageFormat.RAW,
    ".img": ImageFormat.RAW,
    ".iso": ImageFormat.ISO,
}

COLUMNS: tuple[Column, ...] = (
    ("NAME", lambda image: image["name"]),
    ("STATE", lambda image: image["state"]),
    ("KIND", lambda image: image["kind"]),
    ("SIZE", lambda image: size(image["size_bytes"])),
    ("USER", lambda image: image["default_user"]),
    ("SEEN BY", lambda image: image["visibility"]),
    ("LABELS", lambda image: ", ".join(f"{key}={value}" for key, value in sorted(image["labels"].items())) or None),
)
UPLOAD_COLUMNS: tuple[Column, ...] = (
    ("ID", lambda one: one["id"]),
    ("NAME", lambda one: one["name"]),
    ("HERE", lambda one: size(one["offset"])),
    ("OF", lambda one: size(one["size_bytes"])),
    ("BY", lambda one: one["created_by"]),
    ("UNTIL", lambda one: one["expires_at"]),
)

FormatOption = Annotated[ImageFormat | None, typer.Option("--format", help="Default: by the file's name.")]
CompressionOption = Annotated[Compression | None, typer.Option(help="Default: by the file's name.")]
UserOption = Annotated[str, typer.Option("--user", help="Who logs in to VMs of this image.")]
CloudInit = Annotated[bool, typer.Option("--cloud-init/--no-cloud-init", help="Whether the image has cloud-init.")]
LabelOption = Annotated[list[str], typer.Option("--label", help="KEY=VALUE; may be repeated.")]
MinDisk = Annotated[int | None, typer.Option("--min-disk-gib", help="What a root disk needs at least.")]
PoolOption = Annotated[str | None, typer.Option(help="Where it is stored. Default: where images usually are.")]
SeenBy = Annotated[Visibility | None, typer.Option("--visibility", help="Who sees it beside its project.")]

Name = Annotated[str, typer.Argument(help="The image's name or id.")]
NewName = Annotated[str, typer.Argument(help="1 to 63 of letters, digits, '.', '_' and '-'.")]
Project = Annotated[str, typer.Argument(help="The other project's name or id.")]


@app.command("list")
def list_images(
    kind: Annotated[Kind | None, typer.Option(help="Only disks, or only ISOs.")] = None, output: Output = Format.TABLE
) -> None:
    """List all images that may be used."""
    query = {} if kind is None else {"kind": kind.value}
    print_rows(client().items("/v1/images", **query), COLUMNS, output)


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show one image."""
    print_one(client().get(at("images", name)), output)


@app.command(
    epilog=examples(
        "nacre image upload debian debian-12.qcow2 --user debian",
        "nacre image upload installer debian-12-netinst.iso",
    )
)
def upload(
    name: NewName,
    file: Annotated[Path, typer.Argument(help="The image file.", exists=True, dir_okay=False, readable=True)],
    format_: FormatOption = None,
    compression: CompressionOption = None,
    user: UserOption = "nacre",
    cloud_init: CloudInit = True,
    label: LabelOption = [],  # noqa: B006 - typer wants a plain default
    min_disk: MinDisk = None,
    visibility: SeenBy = None,
    pool: PoolOption = None,
    wait: Wait = True,
    output: Output = Format.TABLE,
) -> None:
    """Upload an image file. Called again after a break, it goes on where it stopped."""
    said = _said(name, file.name, format_, compression) | _about(user, cloud_init, label, min_disk, visibility)
    said |= {"pool": pool} if pool else {}
    job_id = pieces.send(client(), file, said)
    finish(client().get(at("jobs", job_id)), wait=wait, how=output, done=f"image {name} is ready")


@app.command("import")
def import_(
    name: NewName,
    url: Annotated[str, typer.Argument(help="http or https.")],
    format_: FormatOption = None,
    compression: CompressionOption = None,
    sha256: Annotated[str | None, typer.Option(help="What the file must have.")] = None,
    user: UserOption = "nacre",
    cloud_init: CloudInit = True,
    label: LabelOption = [],  # noqa: B006 - typer wants a plain default
    min_disk: MinDisk = None,
    visibility: SeenBy = None,
    pool: PoolOption = None,
    wait: Wait = True,
    output: Output = Format.TABLE,
) -> None:
    """Let the service fetch an image from a URL."""
    said = _said(name, urlsplit(url).path, format_, compression) | _about(user, cloud_init, label, min_disk, visibility)
    said |= {"pool": pool} if pool else {}
    job = client().post("/v1/images", {**said, "url": url, **({"sha256": sha256} if sha256 else {})})
    finish(job, wait=wait, how=output, done=f"image {name} is ready")


@app.command("set")
def set_(
    name: Name,
    rename: Annotated[str | None, typer.Option("--name", help="Its new name.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Who logs in; '' when there is no cloud-init.")] = None,
    label: LabelOption = [],  # noqa: B006 - typer wants a plain default
    clear_labels: Annotated[bool, typer.Option("--clear-labels", help="Drop the labels that are there.")] = False,
    min_disk: MinDisk = None,
    visibility: SeenBy = None,
    output: Output = Format.TABLE,
) -> None:
    """Rename an image, or change its labels, its user, its least disk, or who sees it."""
    changes: Json = {"name": rename} if rename else {}
    if user is not None:
        changes["default_user"] = user or None
    if label or clear_labels:
        kept = {} if clear_labels else client().get(at("images", name))["labels"]
        changes["labels"] = kept | _labels(label)
    changes |= _rest(min_disk, visibility)
    print_one(client().patch(at("images", name), changes), output)


@app.command()
def share(name: Name, project: Project) -> None:
    """Let another project use an image."""
    client().put(at("images", name, "projects", project))
    notes.print(plain(f"project {project} may use image {name}"))


@app.command()
def unshare(name: Name, project: Project) -> None:
    """Let another project use an image no longer; its VMs stay."""
    client().delete(at("images", name, "projects", project))
    notes.print(plain(f"project {project} may not use image {name}"))


@app.command()
def delete(name: Name, yes: Yes = False, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Delete an image. VMs that were cloned from it live on."""
    sure(f"Delete image {name}?", yes=yes)
    finish(client().delete(at("images", name)), wait=wait, how=output, done=f"image {name} is gone")


@app.command()
def uploads(output: Output = Format.TABLE) -> None:
    """List the uploads that were begun and not finished."""
    begun = [one for one in client().items("/v1/uploads") if one["job_id"] is None]
    print_rows(begun, UPLOAD_COLUMNS, output)


@app.command()
def abandon(upload_id: Annotated[str, typer.Argument(help="As 'nacre image uploads' tells.")]) -> None:
    """Give up an upload that was begun and not finished."""
    client().delete(at("uploads", upload_id))
    notes.print(plain(f"upload {upload_id} is gone"))


def _said(name: str, file: str, format_: ImageFormat | None, compression: Compression | None) -> Json:
    """Name, format and compression; what was not told is read off the file's name."""
    path = PurePosixPath(file)
    by_suffix = {f".{each.value}": each for each in Compression if each is not Compression.NONE}
    packed = compression or by_suffix.get(path.suffix) or Compression.NONE
    inner = path.with_suffix("") if path.suffix in by_suffix else path
    declared = format_ or SUFFIXES.get(inner.suffix)
    if declared is None:
        raise UsageError(f"What is {path.name}? Say --format raw, --format qcow2 or --format iso.")
    return {"name": name, "format": declared.value, "compression": packed.value}


def _about(user: str, cloud_init: bool, label: list[str], min_disk: int | None, visibility: Visibility | None) -> Json:
    about: Json = {"default_user": (user or None) if cloud_init else None, "labels": _labels(label)}
    return about | _rest(min_disk, visibility)


def _rest(min_disk: int | None, visibility: Visibility | None) -> Json:
    named: Json = {"min_disk_gib": min_disk, "visibility": visibility.value if visibility else None}
    return {key: value for key, value in named.items() if value is not None}


def _labels(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    wrong = [key for key, equals, _ in pairs if not equals]
    if wrong:
        raise UsageError(f"--label {wrong[0]}: write KEY=VALUE.")
    return {key: value for key, _, value in pairs}
