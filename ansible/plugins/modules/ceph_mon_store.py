"""A monitor's store, made once."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: ceph_mon_store
short_description: Make the store of a Ceph monitor
description:
  - Does nothing where the monitor has a store. A store appears whole or not at all, so a killed run is simply repeated.
  - In a cluster that already runs, a monitor made this way finds the quorum by the addresses and joins it.
options:
  name: {type: str, required: true, description: The monitor's name.}
  fsid: {type: str, required: true, description: The cluster's UUID.}
  mon_key: {type: str, required: true, description: The monitors' common cephx key.}
  addresses: {type: dict, required: true, description: All monitors' names and IP addresses (msgr v2, port 3300).}
author: Nacre
"""

EXAMPLES = r"""
- name: Make the monitor's store
  ceph_mon_store: {name: a, fsid: "{{ fsid }}", mon_key: "{{ key }}", addresses: {a: 192.0.2.1}}
"""

RETURN = r"""#"""

FOLDER = "/var/lib/ceph/mon"


def make(module: AnsibleModule, params: dict[str, Any], store: str) -> None:
    """Monitor map and store in a scratch folder of user ceph, then one rename."""
    scratch = tempfile.mkdtemp(dir=FOLDER, prefix=".new-")
    try:
        keyring, monmap, made = (os.path.join(scratch, name) for name in ("keyring", "monmap", "store"))
        with open(os.open(keyring, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            file.write(f'[mon.]\n\tkey = {params["mon_key"]}\n\tcaps mon = "allow *"\n')
        members = [word for name, ip in params["addresses"].items() for word in ("--addv", name, f"[v2:{ip}:3300]")]
        module.run_command(["monmaptool", "--create", "--fsid", params["fsid"], *members, monmap], check_rc=True)
        os.mkdir(made)
        for path in (scratch, keyring, monmap, made):
            shutil.chown(path, "ceph", "ceph")
        mkfs = ["ceph-mon", "--mkfs", "--setuser", "ceph", "--setgroup", "ceph", "-i", params["name"]]
        module.run_command([*mkfs, "--mon-data", made, "--monmap", monmap, "--keyring", keyring], check_rc=True)
        os.rename(made, store)
    finally:
        shutil.rmtree(scratch)


def main() -> None:
    spec = {
        "name": {"type": "str", "required": True},
        "fsid": {"type": "str", "required": True},
        "mon_key": {"type": "str", "required": True, "no_log": True},
        "addresses": {"type": "dict", "required": True},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    store = os.path.join(FOLDER, f"ceph-{module.params['name']}")
    missing = not os.path.exists(os.path.join(store, "keyring"))
    if missing and not module.check_mode:
        make(module, module.params, store)
    module.exit_json(changed=missing, diff={"before": "", "after": f"monitor store {store}\n" if missing else ""})


if __name__ == "__main__":
    main()
