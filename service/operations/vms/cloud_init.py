"""NoCloud seeds, read by a guest's cloud-init at its first boot.

Format: https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html and network config version 2.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import pycdlib
import yaml

from service.json_types import JsonObject

VOLUME_LABEL = "cidata"
# The size of every seed: 32 of the largest keys and 64 KiB of user-data fit into half of it.
SEED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Seed:
    """Content of a seed. `address` has its prefix length: 10.0.0.5/24.

    `user_data` is the user's, passed on unchanged; Nacre's settings are then vendor data, which it overrides.
    """

    instance_id: str
    hostname: str
    user: str
    ssh_keys: tuple[str, ...]
    mac: str
    address: str
    gateway: str | None
    dns: tuple[str, ...]
    user_data: str | None = None


def meta_data(seed: Seed) -> str:
    """Return the instance's identity; a new instance-id makes cloud-init run again."""
    return _yaml({"instance-id": seed.instance_id, "local-hostname": seed.hostname})


def own_data(seed: Seed) -> str:
    """Return the configuration of one user with keys and sudo, without passwords."""
    user = {
        "name": seed.user,
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "shell": "/bin/bash",
        "lock_passwd": True,
        "ssh_authorized_keys": list(seed.ssh_keys),
    }
    return "#cloud-config\n" + _yaml({"hostname": seed.hostname, "ssh_pwauth": False, "users": [user]})


def network_config(seed: Seed) -> str:
    """Return the configuration of a static address on the card with the MAC."""
    card: JsonObject = {"match": {"macaddress": seed.mac}, "addresses": [seed.address]}
    if seed.gateway:
        card["routes"] = [{"to": "0.0.0.0/0", "via": seed.gateway}]
    if seed.dns:
        card["nameservers"] = {"addresses": list(seed.dns)}
    return _yaml({"version": 2, "ethernets": {"id0": card}})


def build_iso(seed: Seed) -> bytes:
    """Return the seed as an ISO 9660 image of SEED_BYTES, labelled `cidata`.

    It has Joliet and Rock Ridge names.
    """
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=VOLUME_LABEL)
    files = {"meta-data": meta_data(seed), "user-data": own_data(seed), "network-config": network_config(seed)}
    if seed.user_data is not None:
        files |= {"vendor-data": own_data(seed), "user-data": seed.user_data}
    for number, (name, text) in enumerate(files.items()):
        content = text.encode()
        iso.add_fp(io.BytesIO(content), len(content), f"/F{number}.;1", rr_name=name, joliet_path=f"/{name}")
    out = io.BytesIO()
    iso.write_fp(out)
    iso.close()
    return out.getvalue().ljust(SEED_BYTES, b"\0")


def _yaml(document: JsonObject) -> str:
    text: str = yaml.safe_dump(document, default_flow_style=False, sort_keys=False, width=1 << 20)
    return text
