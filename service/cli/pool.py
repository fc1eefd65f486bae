"""Commands nacre pool."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.client import at
from service.cli.output import Column, Format, notes, plain, print_one, print_rows, size
from service.cli.session import Output, Wait, client, finish, group

app = group("Storage pools, and the storage cluster's health.")

POOL_COLUMNS: tuple[Column, ...] = (
    ("NAME", lambda pool: pool["name"]),
    ("USED FOR", lambda pool: ", ".join(pool["uses"]) or None),
    ("REPLICAS", lambda pool: pool["replicas"]),
    ("STORED", lambda pool: size(pool["stored_bytes"])),
    ("FREE", lambda pool: size(pool["free_bytes"])),
    ("FULL", lambda pool: _fullness(pool)),
)


def _fullness(pool: dict[str, bool | None]) -> str | None:
    if pool["full"] is None:
        return None
    return "full" if pool["full"] else "nearly" if pool["near_full"] else "no"


@app.command("list")
def list_pools(output: Output = Format.TABLE) -> None:
    """List pools in use, and pools that can be added."""
    print_rows(client().items("/v1/pools"), POOL_COLUMNS, output)


@app.command()
def add(
    name: str,
    uses: Annotated[
        list[str] | None, typer.Option("--for", help="Use of the pool: vms or images; may be repeated.")
    ] = None,
    wait: Wait = True,
    output: Output = Format.TABLE,
) -> None:
    """Add an existing Ceph pool, after it is tested.

    The test creates and removes a tiny image and a clone.
    """
    body = {"name": name, "uses": uses or ["vms"]}
    finish(client().post("/v1/pools", body), wait=wait, how=output, done=f"pool {name} is added")


@app.command()
def remove(name: str) -> None:
    """Remove an empty pool from Nacre; the Ceph pool is kept."""
    client().delete(at("pools", name))
    notes.print(plain(f"pool {name} is removed"))


@app.command("health")
def health(output: Output = Format.TABLE) -> None:
    """Show the storage cluster's last observed health and OSDs."""
    storage = client().get("/v1/storage")
    if output is Format.JSON:
        print_one(storage, output)
        return
    print_one({key: storage[key] for key in ("status", "checks", "version", "observed_at") if key in storage}, output)
    columns: tuple[Column, ...] = (
        ("OSD", lambda osd: osd["osd_id"]),
        ("HOST", lambda osd: osd["host"]),
        ("UP", lambda osd: "up" if osd["up"] else "DOWN"),
        ("COMMIT", lambda osd: f"{osd['commit_latency_ms']} ms" if osd["commit_latency_ms"] else "idle"),
        ("USED", lambda osd: f"{size(osd['used_bytes'])} of {size(osd['total_bytes'])}"),
    )
    print_rows(storage["osds"], columns, output)
