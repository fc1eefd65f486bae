"""The lab's Ansible inventory: what the roles may rely on, and the few settings a small machine needs."""

from pathlib import Path
from typing import Any

import yaml

from lab import keys
from lab.spec import LabSpec, MachineSpec

# A machine of the lab shares its kernel with the computer and has little memory: these differ from a real host.
LAB_VARIABLES: dict[str, Any] = {
    "nacre_security_driver": "none",
    "nacre_cgroup_controllers": [],
    "nacre_namespaces": [],
    "nacre_time_sync": False,
    "nacre_osd_memory_target_bytes": 896 * 2**20,
    "nacre_mon_data_avail_warn_percent": 1,
}


def inventory(lab: LabSpec) -> dict[str, Any]:
    """The inventory as plain data."""
    ssh = " ".join(keys.ssh_options(lab)[4:])
    variables = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(keys.private_key(lab)),
        "ansible_ssh_common_args": f"-F none {ssh}",
        "ansible_python_interpreter": "/usr/bin/python3",
        "nacre_management_cidr": str(lab.management),
        "nacre_pki_dir": str(lab.folder / "pki"),
        "nacre_control_dir": str(lab.folder / "control"),
        "nacre_control_address": str(lab.control_address),
        **LAB_VARIABLES,
    }
    hosts = {machine.name: _host(machine) for machine in lab.machines}
    control = {"control": {"ansible_connection": "local"}}
    return {
        "all": {"vars": variables, "children": {"nacre_hosts": {"hosts": hosts}, "nacre_control": {"hosts": control}}}
    }


def _host(machine: MachineSpec) -> dict[str, Any]:
    return {
        "ansible_host": str(machine.address),
        "nacre_address": str(machine.address),
        "nacre_guest_interface": "guest0",
        "nacre_osd_devices": list(machine.osd_devices),
    }


def write_inventory(lab: LabSpec) -> Path:
    """Write the inventory when it differs from the one that is there; returns its path."""
    path = lab.folder / "inventory.yml"
    text = yaml.safe_dump(inventory(lab), sort_keys=False, width=200)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return path
