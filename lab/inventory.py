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
    """The hosts' inventory as plain data."""
    variables = {
        **_connection(lab),
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


def control_inventory(lab: LabSpec, machine: MachineSpec) -> dict[str, Any]:
    """The control machine's inventory: what the hosts' play handed over is brought there from the computer."""
    variables = {
        **_connection(lab),
        "nacre_listen_address": str(machine.address),
        "nacre_control_source": str(lab.folder / "control"),
        "nacre_release_dir": str(lab.base / "cache/release"),
    }
    hosts = {machine.name: {"ansible_host": str(machine.address)}}
    return {"all": {"vars": variables, "children": {"nacre_control": {"hosts": hosts}}}}


def _connection(lab: LabSpec) -> dict[str, Any]:
    return {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(keys.private_key(lab)),
        "ansible_ssh_common_args": f"-F none {' '.join(keys.ssh_options(lab)[4:])}",
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def _host(machine: MachineSpec) -> dict[str, Any]:
    return {
        "ansible_host": str(machine.address),
        "nacre_address": str(machine.address),
        "nacre_guest_interface": "guest0",
        "nacre_osd_devices": list(machine.osd_devices),
    }


def control_inventory_path(lab: LabSpec) -> Path:
    """Where the control machine's inventory lies."""
    return lab.folder / "control.yml"


def write_inventories(lab: LabSpec) -> None:
    """Write each inventory when it differs from the one that is there."""
    _write(lab.folder / "inventory.yml", inventory(lab))
    if lab.control_machine is not None:
        _write(control_inventory_path(lab), control_inventory(lab, lab.control_machine))


def _write(path: Path, content: dict[str, Any]) -> None:
    text = yaml.safe_dump(content, sort_keys=False, width=200)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
