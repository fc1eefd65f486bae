"""Waiting until the cluster is well."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.nacre_ceph import CephError, Mon, wait_until_well

DOCUMENTATION = r"""
module: ceph_health
short_description: Wait until the Ceph cluster is healthy
description:
  - Waits for HEALTH_OK, an active manager, every OSD up and every placement group clean; changes nothing.
  - In check mode nothing was changed, so there is nothing to wait for.
options:
  osds: {type: int, required: true, description: How many OSDs must be up.}
  timeout_s: {type: int, default: 300, description: After this long the reasons left are the error.}
author: Nacre
"""

EXAMPLES = r"""
- name: Wait for three OSDs
  ceph_health: {osds: 3}
"""

RETURN = r"""
waited_s: {description: How long it took., type: float, returned: except in check mode}
"""


def main() -> None:
    spec = {"osds": {"type": "int", "required": True}, "timeout_s": {"type": "int", "default": 300}}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    if module.check_mode:
        module.exit_json(changed=False)
    try:
        mon = Mon(module.params["timeout_s"])
        waited_s = wait_until_well(mon, module.params["osds"], module.params["timeout_s"])
        mon.close()
    except CephError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, waited_s=round(waited_s, 1))


if __name__ == "__main__":
    main()
