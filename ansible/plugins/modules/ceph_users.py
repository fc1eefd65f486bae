"""The cluster's cephx users and what they may do."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.nacre_ceph import CephError, Mon

DOCUMENTATION = r"""
module: ceph_users
short_description: Keep cephx users and their capabilities
description: Runs on a monitor's host. Tells capabilities only; M(ceph_keys) hands out keys.
options:
  users: {type: dict, required: true, description: "Entity (client.x) to a mapping of daemon type to capability."}
  timeout_s: {type: int, default: 60, description: How long the quorum may take.}
author: Nacre
"""

EXAMPLES = r"""
- name: A user who reads the cluster's state
  ceph_users: {users: {client.watcher: {mon: allow r}}}
"""

RETURN = r"""#"""


def pairs(caps: dict[str, str]) -> list[str]:
    """Capabilities as the monitors want them: type, text, type, text …"""
    return [word for pair in sorted(caps.items()) for word in pair]


def put(mon: Mon, entity: str, caps: dict[str, str], *, known: bool) -> None:
    mon.ask("auth caps" if known else "auth get-or-create", entity=entity, caps=pairs(caps))


def lines(users: dict[str, dict[str, str]]) -> str:
    caps = sorted((entity, *cap) for entity, kinds in users.items() for cap in kinds.items())
    return "".join(f"{entity} {kind}: {cap}\n" for entity, kind, cap in caps)


def main() -> None:
    spec = {"users": {"type": "dict", "required": True}, "timeout_s": {"type": "int", "default": 60}}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    wanted: dict[str, Any] = module.params["users"]
    try:
        mon = Mon(module.params["timeout_s"])
        stored = {user["entity"]: user["caps"] for user in mon.ask("auth ls")["auth_dump"]}
        seen = {entity: stored[entity] for entity in wanted if entity in stored}
        for entity, caps in wanted.items():
            if seen.get(entity) != caps and not module.check_mode:
                put(mon, entity, caps, known=entity in seen)
        mon.close()
    except CephError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=seen != wanted, diff={"before": lines(seen), "after": lines(wanted)})


if __name__ == "__main__":
    main()
