"""Restarting a host's Ceph daemons without hurting anybody."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.nacre_ceph import CephError, Mon, wait_until_well
from ansible.module_utils.nacre_systemd import show, written_s

DOCUMENTATION = r"""
module: ceph_restart
short_description: Restart the Ceph daemons that are older than their configuration
description:
  - Restarts this host's monitors, managers and OSDs one at a time; the cluster is well before each and after.
  - A daemon that started after all the I(files) were written has read them and is left alone.
options:
  files: {type: list, elements: path, required: true, description: Configuration that daemons read when they start.}
  osds: {type: int, required: true, description: How many OSDs must be up.}
  timeout_s: {type: int, default: 300, description: How long the cluster may take to be well again.}
author: Nacre
"""

EXAMPLES = r"""
- name: Let the daemons read their configuration
  ceph_restart: {files: [/etc/ceph/ceph.conf], osds: 3}
  throttle: 1
"""

RETURN = r"""
restarted: {description: The units that were restarted., type: list, elements: str, returned: always}
"""

# Monitors first, the data last.
KINDS = ("ceph-mon@*.service", "ceph-mgr@*.service", "ceph-osd@*.service")


def restart(module: AnsibleModule, units: list[str]) -> None:
    osds, timeout_s = module.params["osds"], module.params["timeout_s"]
    mon = Mon(timeout_s)
    for unit in units:
        wait_until_well(mon, osds, timeout_s)
        module.run_command(["systemctl", "restart", unit], check_rc=True)
        wait_until_well(mon, osds, timeout_s)
    mon.close()


def main() -> None:
    spec = {
        "files": {"type": "list", "elements": "path", "required": True},
        "osds": {"type": "int", "required": True},
        "timeout_s": {"type": "int", "default": 300},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    written = written_s(module.params["files"])
    units = [
        name for kind in KINDS for name, unit in show(module, kind).items() if unit.runs and unit.since_s < written
    ]
    try:
        if units and not module.check_mode:
            restart(module, units)
    except CephError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(units), restarted=units)


if __name__ == "__main__":
    main()
