"""OSDs on block devices, prepared once."""

from __future__ import annotations

import json
import os
import stat

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: ceph_osds
short_description: Prepare BlueStore OSDs on block devices
description:
  - Runs C(ceph-volume raw prepare) on each device that carries no OSD yet. Nothing is started.
  - A device with anything else on it, or with another cluster's OSD, is an error and stays as it is.
  - A device whose preparation was cut short holds no data and is prepared again.
options:
  devices: {type: list, elements: str, required: true, description: Whole block devices.}
  fsid: {type: str, required: true, description: The cluster's UUID.}
  bootstrap_key: {type: str, required: true, description: "Key of C(client.bootstrap-osd); here only for the moment."}
author: Nacre
"""

EXAMPLES = r"""
- name: Prepare the disk
  ceph_osds: {devices: [/dev/sdb], fsid: "{{ fsid }}", bootstrap_key: "{{ key }}"}
"""

RETURN = r"""
prepared: {description: The devices that were prepared now., type: list, elements: str, returned: always}
"""

KEYRING = "/var/lib/ceph/bootstrap-osd/ceph.keyring"
LABEL_BYTES = 1 << 20  # the label lies in the first 4 KiB


class RefusedError(Exception):
    """A device that is not ours to take, or that cannot be prepared."""


def label(module: AnsibleModule, device: str) -> dict[str, str] | None:
    """The device's BlueStore label, or None when it has none."""
    code, output, _ = module.run_command(["ceph-bluestore-tool", "show-label", "--dev", device])
    return json.loads(output)[device] if code == 0 else None


def content(module: AnsibleModule, device: str) -> str:
    """What lies on the device (a file system, a partition table …), empty when nothing is recognised."""
    code, output, _ = module.run_command(["blkid", "--probe", "--output", "export", device])
    found = dict(line.split("=", 1) for line in output.splitlines() if "=" in line) if code == 0 else {}
    return found.get("TYPE") or found.get("PTTYPE") or ""


def needs_preparing(module: AnsibleModule, device: str, fsid: str) -> bool:
    """Whether the device is free; RefusedError when somebody else's data lies on it."""
    if not os.path.exists(device) or not stat.S_ISBLK(os.stat(device).st_mode):
        raise RefusedError(f"{device} is not a block device of this host")
    seen = label(module, device)
    if seen is None:
        other = content(module, device)
        if other:
            raise RefusedError(f"{device} holds {other}: wipe it first (wipefs -a {device}) if it is really free")
        return True
    if seen.get("ready") != "ready":
        return True
    if seen["ceph_fsid"] != fsid:
        raise RefusedError(f"{device} holds an OSD of cluster {seen['ceph_fsid']}, not of {fsid}")
    return False


def wipe(device: str) -> None:
    """Clear a label that never became an OSD: ceph-volume takes any label for a finished one."""
    with open(device, "r+b") as disk:
        disk.write(bytes(LABEL_BYTES))
        os.fsync(disk.fileno())


def volume(module: AnsibleModule, device: str) -> None:
    """Run ceph-volume without its log and without repeating what it prints: both hold the new OSD's key."""
    quiet = ["ceph-volume", "--log-level", "error"]
    code, _, errors = module.run_command([*quiet, "raw", "prepare", "--bluestore", "--data", device])
    if code:
        last = (errors.strip().splitlines() or ["no message"])[-1]
        raise RefusedError(f"ceph-volume could not prepare {device} (exit status {code}): {last}")


def prepare(module: AnsibleModule, devices: list[str], key: str) -> None:
    """Prepare free devices with the bootstrap key, which leaves the host again whatever happens."""
    try:
        with open(os.open(KEYRING, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as keyring:
            keyring.write(f"[client.bootstrap-osd]\n\tkey = {key}\n")
        for device in devices:
            wipe(device)
            volume(module, device)
    finally:
        os.unlink(KEYRING)


def main() -> None:
    spec = {
        "devices": {"type": "list", "elements": "str", "required": True},
        "fsid": {"type": "str", "required": True},
        "bootstrap_key": {"type": "str", "required": True, "no_log": True},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    try:
        free = [d for d in module.params["devices"] if needs_preparing(module, d, module.params["fsid"])]
        if free and not module.check_mode:
            prepare(module, free, module.params["bootstrap_key"])
    except RefusedError as error:
        module.fail_json(msg=str(error))
    after = "".join(f"OSD on {device}\n" for device in free)
    module.exit_json(changed=bool(free), prepared=free, diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
