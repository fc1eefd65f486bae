"""Commands nacre image."""

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
from service.cli.session import Output, Wait, Yes, client, confirm, examples, finish, group

app = group("Images: disk templates and ISOs.")


class ImageFormat(enum.StrEnum):
    """Format of an image file, after decompression."""

    RAW = "raw"
    QCOW2 = "qcow2"
    ISO = "iso"


class Compression(enum.StrEnum):
    """Compression of an image file."""

    NONE = "none"
    GZ = "gz"
    XZ = "xz"
    BZ2 = "bz2"
    ZST = "zst"


class Visibility(enum.StrEnum):
    """Visibility of an image outside its project."""

    PRIVATE = "private"
    SHARED = "shared"
    PUBLIC = "public"


class Kind(enum.StrEnum):
    """Kind of an image: disk template or ISO."""

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
    ("VISIBILITY", lambda image: image["visibility"]),
    ("LABELS", lambda image: ", ".join(f"{key}={value}" for key, value in sorted(image["labels"].items())) or None),
)
UPLOAD_COLUMNS: tuple[Column, ...] = (
    ("ID", lambda upload: upload["id"]),
    ("NAME", lambda upload: upload["name"]),
    ("RECEIVED", lambda upload: size(upload["offset"])),
    ("SIZE", lambda upload: size(upload["size_bytes"])),
    ("USER", lambda upload: upload["created_by"]),
    ("EXPIRES", lambda upload: upload["expires_at"]),
)

FormatOption = Annotated[ImageFormat | None, typer.Option("--format", help="Format (default: from the file name).")]
CompressionOption = Annotated[Compression | None, typer.Option(help="Compression (default: from the file name).")]
UserOption = Annotated[str, typer.Option("--user", help="User that cloud-init creates in VMs of this image.")]
CloudInit = Annotated[bool, typer.Option("--cloud-init/--no-cloud-init", help="The image contains cloud-init.")]
LabelOption = Annotated[list[str], typer.Option("--label", help="KEY=VALUE; may be repeated.")]
MinDisk = Annotated[int | None, typer.Option("--min-disk-gib", help="Minimum size of a root disk in GiB.")]
PoolOption = Annotated[str | None, typer.Option(help="Pool to store it in (default: the image pool).")]
VisibilityOption = Annotated[Visibility | None, typer.Option("--visibility", help="Visibility outside its project.")]

Name = Annotated[str, typer.Argument(help="The image's name or id.")]
NewName = Annotated[str, typer.Argument(help="1 to 63 of letters, digits, '.', '_' and '-'.")]
Project = Annotated[str, typer.Argument(help="The other project's name or id.")]


@app.command("list")
def list_images(
    kind: Annotated[Kind | None, typer.Option(help="Only disk templates, or only ISOs.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """List images that you may use."""
    query = {} if kind is None else {"kind": kind.value}
    print_rows(client().items("/v1/images", **query), COLUMNS, output)


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show an image."""
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
    visibility: VisibilityOption = None,
    pool: PoolOption = None,
    wait: Wait = True,
    output: Output = Format.TABLE,
) -> None:
    """Upload an image file; run again after a failure, it resumes."""
    body = _file_fields(name, file.name, format_, compression)
    body |= _image_fields(user, cloud_init, label, min_disk, visibility) | ({"pool": pool} if pool else {})
    job_id = pieces.send(client(), file, body)
    finish(client().get(at("jobs", job_id)), wait=wait, how=output, done=f"image {name} is ready")


@app.command("import")
def import_(
    name: NewName,
    url: Annotated[str, typer.Argument(help="URL of the file, http or https.")],
    format_: FormatOption = None,
    compression: CompressionOption = None,
    sha256: Annotated[str | None, typer.Option(help="SHA-256 that the file must have.")] = None,
    user: UserOption = "nacre",
    cloud_init: CloudInit = True,
    label: LabelOption = [],  # noqa: B006 - typer wants a plain default
    min_disk: MinDisk = None,
    visibility: VisibilityOption = None,
    pool: PoolOption = None,
    wait: Wait = True,
    output: Output = Format.TABLE,
) -> None:
    """Import an image from a URL; the service downloads it."""
    body = _file_fields(name, urlsplit(url).path, format_, compression)
    body |= _image_fields(user, cloud_init, label, min_disk, visibility) | ({"pool": pool} if pool else {})
    job = client().post("/v1/images", {**body, "url": url, **({"sha256": sha256} if sha256 else {})})
    finish(job, wait=wait, how=output, done=f"image {name} is ready")


@app.command("set")
def set_(
    name: Name,
    rename: Annotated[str | None, typer.Option("--name", help="New name.")] = None,
    user: Annotated[
        str | None, typer.Option("--user", help="User that cloud-init creates; '' without cloud-init.")
    ] = None,
    label: LabelOption = [],  # noqa: B006 - typer wants a plain default
    clear_labels: Annotated[bool, typer.Option("--clear-labels", help="Remove the existing labels first.")] = False,
    min_disk: MinDisk = None,
    visibility: VisibilityOption = None,
    output: Output = Format.TABLE,
) -> None:
    """Update an image's name, labels, user or visibility."""
    changes: Json = {"name": rename} if rename else {}
    if user is not None:
        changes["default_user"] = user or None
    if label or clear_labels:
        labels = {} if clear_labels else client().get(at("images", name))["labels"]
        changes["labels"] = labels | _labels(label)
    changes |= _optional_fields(min_disk, visibility)
    print_one(client().patch(at("images", name), changes), output)


@app.command()
def share(name: Name, project: Project) -> None:
    """Share an image with another project."""
    client().put(at("images", name, "projects", project))
    notes.print(plain(f"project {project} may use image {name}"))


@app.command()
def unshare(name: Name, project: Project) -> None:
    """Unshare an image from another project; its VMs are kept."""
    client().delete(at("images", name, "projects", project))
    notes.print(plain(f"project {project} may no longer use image {name}"))


@app.command()
def delete(name: Name, yes: Yes = False, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Delete an image; VMs cloned from it are kept."""
    confirm(f"Delete image {name}?", yes=yes)
    finish(client().delete(at("images", name)), wait=wait, how=output, done=f"image {name} is deleted")


@app.command()
def uploads(output: Output = Format.TABLE) -> None:
    """List unfinished uploads."""
    unfinished = [upload for upload in client().items("/v1/uploads") if upload["job_id"] is None]
    print_rows(unfinished, UPLOAD_COLUMNS, output)


@app.command()
def abandon(upload_id: Annotated[str, typer.Argument(help="The upload's id: 'nacre image uploads' lists it.")]) -> None:
    """Abandon an unfinished upload; its data is deleted."""
    client().delete(at("uploads", upload_id))
    notes.print(plain(f"upload {upload_id} is abandoned"))


def _file_fields(name: str, file: str, format_: ImageFormat | None, compression: Compression | None) -> Json:
    """Return name, format and compression, derived from the file name where not given."""
    path = PurePosixPath(file)
    by_suffix = {f".{each.value}": each for each in Compression if each is not Compression.NONE}
    packed = compression or by_suffix.get(path.suffix) or Compression.NONE
    inner = path.with_suffix("") if path.suffix in by_suffix else path
    declared = format_ or SUFFIXES.get(inner.suffix)
    if declared is None:
        raise UsageError(f"The format of {path.name} is unknown: add --format raw, qcow2 or iso.")
    return {"name": name, "format": declared.value, "compression": packed.value}


def _image_fields(
    user: str, cloud_init: bool, label: list[str], min_disk: int | None, visibility: Visibility | None
) -> Json:
    fields: Json = {"default_user": (user or None) if cloud_init else None, "labels": _labels(label)}
    return fields | _optional_fields(min_disk, visibility)


def _optional_fields(min_disk: int | None, visibility: Visibility | None) -> Json:
    fields: Json = {"min_disk_gib": min_disk, "visibility": visibility.value if visibility else None}
    return {key: value for key, value in fields.items() if value is not None}


def _labels(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    wrong = [key for key, equals, _ in pairs if not equals]
    if wrong:
        raise UsageError(f"--label {wrong[0]}: write KEY=VALUE.")
    return {key: value for key, _, value in pairs}
