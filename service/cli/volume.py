"""Commands nacre volume."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import at
from service.cli.output import Column, Format, print_one, size
from service.cli.session import Output, Wait, Yes, client, confirm, finish, group, print_owned

app = group("Volumes: data disks that can be attached to VMs.")

Name = Annotated[str, typer.Argument(help="The volume's name or id.")]

COLUMNS: tuple[Column, ...] = (
    ("NAME", lambda volume: volume["name"]),
    ("STATE", lambda volume: volume["state"]),
    ("SIZE", lambda volume: size(volume["size_bytes"])),
    ("POOL", lambda volume: volume["pool"]),
    ("VM", lambda volume: volume["vm"]),
    ("TARGET", lambda volume: volume["target"]),
    ("IMAGE", lambda volume: volume["image"]),
)


@app.command("list")
def list_volumes(output: Output = Format.TABLE) -> None:
    """List data volumes, attached or not."""
    rows = client().items("/v1/volumes")
    print_owned(rows, COLUMNS, output)


@app.command()
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show a data volume."""
    print_one(client().get(at("volumes", name)), output)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="1 to 63 of letters, digits, '.', '_' and '-'.")],
    size_gib: Annotated[int | None, typer.Option("--size-gib", help="Size in GiB (default: the image's).")] = None,
    image: Annotated[str | None, typer.Option("--image", help="Image to clone (default: a blank volume).")] = None,
    pool: Annotated[str | None, typer.Option("--pool", help="Pool to store it in.")] = None,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Create a data volume; 'nacre vm attach' attaches it to a VM."""
    body = {"name": name, "size_gib": size_gib, "image": image, "pool": pool}
    job = client().post("/v1/volumes", {key: value for key, value in body.items() if value is not None})
    finish(job, wait=wait, how=output, done=f"volume {name} is created")


@app.command()
def grow(
    name: Name,
    size_gib: Annotated[int, typer.Argument(help="New size in GiB.")],
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Grow a data volume, attached or not."""
    job = client().post(at("volumes", name, "grow"), {"size_gib": size_gib})
    finish(job, wait=wait, how=output, done=f"volume {name} is {size_gib} GiB")


@app.command()
def delete(
    name: Name,
    yes: Yes = False,
    wait: Wait = False,
    output: Output = Format.TABLE,
) -> None:
    """Delete a data volume that is not attached; this cannot be undone."""
    confirm(f"Delete volume {name} and everything on it?", yes=yes)
    finish(client().delete(at("volumes", name)), wait=wait, how=output, done=f"volume {name} is deleted")
