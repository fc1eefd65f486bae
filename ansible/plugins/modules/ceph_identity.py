"""The cluster's fsid and monitor key: found on a host, kept on the controller."""

from __future__ import annotations

import base64
import os
import re
import secrets
import struct
import time
import uuid

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: ceph_identity
short_description: Find a cluster's fsid and monitor key on a host, or keep them in a private folder
description:
  - Without I(folder), reads what this host has (fsid of C(ceph.conf), key of its monitor); empty texts for nothing.
  - With I(folder), makes sure that the folder holds the identity, taking what the hosts have or else a new one, once.
  - A folder and hosts that name different clusters are an error, so that a lost folder never becomes a second cluster.
options:
  folder: {type: path, description: The controller's private folder.}
  fsids: {type: list, elements: str, default: [], description: The fsids that the hosts answered.}
  mon_keys: {type: list, elements: str, default: [], description: The monitor keys that the hosts answered.}
author: Nacre
"""

EXAMPLES = r"""
- name: Read what this host has
  ceph_identity:
  register: identity
- name: Keep it
  ceph_identity: {folder: /srv/nacre/secrets, fsids: "{{ fsids }}", mon_keys: "{{ mon_keys }}"}
"""

RETURN = r"""
fsid: {description: The cluster's UUID., type: str, returned: always}
mon_key: {description: The key of the host's monitor (secret)., type: str, returned: without folder}
hostname: {description: What the host calls itself., type: str, returned: without folder}
"""


def matched(path: str, pattern: str) -> str:
    """The pattern's first group in a file's text; empty when either is missing."""
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as file:
        match = re.search(pattern, file.read(), re.MULTILINE)
    return match.group(1) if match else ""


def here() -> dict[str, str]:
    """What this host has."""
    keyring = f"/var/lib/ceph/mon/ceph-{os.uname().nodename}/keyring"
    return {
        "fsid": matched("/etc/ceph/ceph.conf", r"^\s*fsid\s*=\s*(\S+)"),
        "mon_key": matched(keyring, r"^\s*key\s*=\s*(\S+)"),
    }


def new_key() -> str:
    """A cephx key: type 1 (AES), creation time, length and 16 random bytes, in base64 (Ceph's CryptoKey encoding)."""
    return base64.b64encode(struct.pack("<HIIH", 1, int(time.time()), 0, 16) + secrets.token_bytes(16)).decode()


def agreed(folder: str, found: dict[str, list[str]]) -> dict[str, str]:
    """The one identity of folder and hosts, with empty texts for what nobody has; ValueError when they differ."""
    known = {}
    for name, answers in found.items():
        values = {value for value in [matched(os.path.join(folder, name), r"(\S+)"), *answers] if value}
        if len(values) > 1:
            shown = f" ({', '.join(sorted(values))})" if name == "fsid" else ""
            raise ValueError(f"{folder} and the hosts disagree about the {name}{shown}: is it another cluster's?")
        known[name] = next(iter(values), "")
    if known["fsid"] and not known["mon_key"]:
        raise ValueError(f"hosts belong to cluster {known['fsid']}, but neither {folder} nor a monitor has its key")
    return known


def keep(folder: str, name: str, value: str) -> bool:
    """Write one value for its owner only; False when it is there already."""
    path = os.path.join(folder, name)
    if matched(path, r"(\S+)") == value:
        return False
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with open(os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{value}\n")
    os.replace(f"{path}.new", path)
    return True


def main() -> None:
    answers = {"type": "list", "elements": "str", "default": []}
    spec = {"folder": {"type": "path"}, "fsids": answers, "mon_keys": {**answers, "no_log": True}}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    folder = module.params["folder"]
    if folder is None:
        module.exit_json(changed=False, hostname=os.uname().nodename, **here())
    try:
        known = agreed(folder, {"fsid": module.params["fsids"], "mon_key": module.params["mon_keys"]})
    except ValueError as error:
        module.fail_json(msg=str(error))
    wanted = {"fsid": known["fsid"] or str(uuid.uuid4()), "mon_key": known["mon_key"] or new_key()}
    changed = not module.check_mode and any([keep(folder, name, value) for name, value in wanted.items()])
    module.exit_json(changed=changed, fsid=wanted["fsid"])


if __name__ == "__main__":
    main()
