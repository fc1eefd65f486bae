"""A database as a large cloud has it: thousands of VMs on hundreds of hosts, with nothing behind the rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from service.bootstrap import build_context, create_token, migrate_database
from service.db.engine.database import transaction
from service.db.tables import Allocation, Flavor, Host, Image, Network, Nic, Pool, Project, Vm, Volume
from service.settings import load_settings

AT_ONCE = 500  # rows in one statement
GIB = 1 << 30
POOL_FACTS = {
    "name": "vms", "replicas": 3, "stored_bytes": 0, "free_bytes": 1 << 50, "near_full": False, "full": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """Where it is, and how to ask it."""

    settings_file: Path
    database: Path
    port: int
    token: str


def vm_name(number: int) -> str:
    """The name of a VM."""
    return f"vm-{number:06d}"


def make(folder: Path, *, vms: int, hosts: int, port: int, **more: object) -> World:
    """Fill a new database in `folder`, for an API that will listen on `port`; `more` are other settings."""
    folder.mkdir(parents=True)
    settings_file, token_file = folder / "settings.toml", folder / "token"
    told = {"state_dir": str(folder / "state"), "listen_port": port, **more}
    settings_file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in told.items()))
    settings = load_settings(settings_file)
    migrate_database(settings)
    create_token(settings, name="bench", role="admin", path=token_file)
    ctx = build_context(settings)
    with transaction(ctx.db):
        _fill(vms, hosts)
    return World(settings_file, settings.state_dir / "nacre.db", port, token_file.read_text().strip())


def _fill(vms: int, hosts: int) -> None:
    now, project = datetime.now(UTC), Project.get().id
    flavor, image, network = _id("f", 0), _id("i", 0), _id("n", 0)
    Flavor.insert(
        id=flavor,
        created_at=now,
        name="small",
        vcpus=1,
        max_vcpus=1,
        memory_mib=1024,
        max_memory_mib=1024,
        disk_bytes=GIB,
    ).execute()
    Image.insert(
        id=image, created_at=now, name="debian", project=project, state="ready", format="raw", default_user="nacre",
        pool="images", storage_name=f"image-{image}", size_bytes=GIB, sha256="0" * 64,
    ).execute()  # fmt: skip
    Network.insert(
        id=network, created_at=now, name="guests", bridge="br-guest", cidr="10.0.0.0/8", first_address="10.0.0.1",
        last_address="10.255.255.254", dns=[],
    ).execute()  # fmt: skip
    Pool.insert(name="vms", facts=POOL_FACTS, observed_at=now).execute()
    common = {"created_at": now}
    _insert(Host, hosts, lambda n: common | _host(n, now))
    _insert(Vm, vms, lambda n: common | _vm(n, now) | _of(project, flavor, image, _id("h", n % hosts)))
    _insert(Volume, vms, lambda n: common | _volume(n) | {"project": project, "image": image})
    _insert(Nic, vms, lambda n: common | _nic(n) | {"network": network})
    _insert(Allocation, vms, lambda n: common | _allocation(n, _id("h", n % hosts)))


def _insert(table: Any, count: int, row: Callable[[int], dict[str, Any]]) -> None:
    rows = map(row, range(count))
    while some := list(islice(rows, AT_ONCE)):
        table.insert_many(some).execute()


def _id(kind: str, number: int) -> str:
    """An id that says what it is of, and is never another's."""
    return str(UUID(int=(ord(kind) << 120) | (4 << 76) | (8 << 60) | number))


def _host(number: int, now: datetime) -> dict[str, Any]:
    return {
        "id": _id("h", number), "name": f"host{number:04d}", "address": str(IPv4Address("172.16.0.1") + number),
        "state": "active", "vcpus": 1024, "memory_mib": 1 << 20, "reserved_vcpus": 0, "reserved_memory_mib": 0,
        "ceph_user": f"host-host{number:04d}", "virt_type": "kvm", "machine": "pc-q35-7.2", "observed_at": now,
    }  # fmt: skip


def _vm(number: int, now: datetime) -> dict[str, Any]:
    return {
        "id": _id("v", number), "name": vm_name(number), "desired_state": "running", "observed_state": "running",
        "observed_at": now, "virt_type": "kvm", "machine": "pc-q35-7.2", "vcpus": 1, "max_vcpus": 1,
        "memory_mib": 1024, "max_memory_mib": 1024, "user": "nacre", "ssh_keys": [], "created_by": "bench",
    }  # fmt: skip


def _of(project: str, flavor: str, image: str, host: str) -> dict[str, Any]:
    return {"project": project, "flavor": flavor, "image": image, "host": host}


def _volume(number: int) -> dict[str, Any]:
    vm = _id("v", number)
    return {
        "id": _id("d", number), "vm": vm, "role": "root", "target": "vda", "pool": "vms", "storage_name": f"vm-{vm}-0",
        "size_bytes": GIB,
    }  # fmt: skip


def _nic(number: int) -> dict[str, Any]:
    mac = f"{number:06x}"
    return {
        "id": _id("c", number), "vm": _id("v", number), "mac": f"52:54:00:{mac[:2]}:{mac[2:4]}:{mac[4:]}",
        "address": str(IPv4Address("10.0.0.1") + number),
    }  # fmt: skip


def _allocation(number: int, host: str) -> dict[str, Any]:
    return {"id": _id("a", number), "vm": _id("v", number), "host": host, "vcpus": 1, "memory_mib": 1088}
