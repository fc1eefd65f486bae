"""The keys of some cephx users."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.nacre_ceph import CephError, Mon

DOCUMENTATION = r"""
module: ceph_keys
short_description: Read the keys of cephx users
description: Runs on a monitor's host and changes nothing. Its answer is secret; the task wants C(no_log).
options:
  entities: {type: list, elements: str, required: true, description: The users.}
  timeout_s: {type: int, default: 60, description: How long the quorum may take.}
author: Nacre
"""

EXAMPLES = r"""
- name: Read a key
  ceph_keys: {entities: [client.watcher]}
  no_log: true
"""

RETURN = r"""
by_entity: {description: Entity to cephx key; empty for an unknown user., type: dict, returned: always}
"""


def main() -> None:
    spec = {
        "entities": {"type": "list", "elements": "str", "required": True},
        "timeout_s": {"type": "int", "default": 60},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    try:
        mon = Mon(module.params["timeout_s"])
        stored = {user["entity"]: user["key"] for user in mon.ask("auth ls")["auth_dump"]}
        mon.close()
    except CephError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, by_entity={entity: stored.get(entity, "") for entity in module.params["entities"]})


if __name__ == "__main__":
    main()
