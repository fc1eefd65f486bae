"""The cluster's replicated pools and the rule that spreads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.nacre_ceph import CephError, Mon

DOCUMENTATION = r"""
module: ceph_pools
short_description: Keep replicated Ceph pools
description:
  - Runs on a monitor's host. Makes missing pools, and a replicated CRUSH rule when none has the failure domain.
  - The number of placement groups counts at creation only; the cluster's autoscaler owns it afterwards.
options:
  pools: {type: list, elements: str, required: true, description: Pool names.}
  adopted:
    description: Pools that Ceph makes for itself; where they exist, they are kept as safe as the others.
    type: list
    elements: str
    default: []
  application: {type: str, default: rbd, description: What the pools are for.}
  size: {type: int, required: true, description: Copies of each object.}
  min_size: {type: int, required: true, description: Copies needed to accept a write.}
  pg_num: {type: int, default: 32, description: Placement groups of a new pool.}
  failure_domain: {type: str, default: host, description: CRUSH type that no two copies share.}
  timeout_s: {type: int, default: 60, description: How long the quorum may take.}
author: Nacre
"""

EXAMPLES = r"""
- name: Two pools, three copies each
  ceph_pools: {pools: [images, vms], size: 3, min_size: 2}
"""

RETURN = r"""#"""

SPEC = {
    "pools": {"type": "list", "elements": "str", "required": True},
    "adopted": {"type": "list", "elements": "str", "default": []},
    "application": {"type": "str", "default": "rbd"},
    "size": {"type": "int", "required": True},
    "min_size": {"type": "int", "required": True},
    "pg_num": {"type": "int", "default": 32},
    "failure_domain": {"type": "str", "default": "host"},
    "timeout_s": {"type": "int", "default": 60},
}
State = dict[str, dict[str, str]]  # pool to its settings


@dataclass(frozen=True)
class Rules:
    """The CRUSH rules' names and failure domains, by id."""

    names: dict[int, str]
    domains: dict[int, str]

    @staticmethod
    def read(mon: Mon) -> Rules:
        rules = mon.ask("osd crush rule dump")
        chosen = {rule["rule_id"]: [step["type"] for step in rule["steps"] if "choose" in step["op"]] for rule in rules}
        names = {rule["rule_id"]: rule["rule_name"] for rule in rules}
        return Rules(names, {number: "/".join(types) for number, types in chosen.items()})

    def spreading_over(self, domain: str) -> str | None:
        return next((self.names[number] for number, seen in self.domains.items() if seen == domain), None)


def seen_state(mon: Mon, params: dict[str, Any], rules: Rules) -> State:
    """The settings of those pools that exist."""
    state = {
        pool["pool_name"]: {
            "size": str(pool["size"]),
            "min_size": str(pool["min_size"]),
            "failure_domain": rules.domains[pool["crush_rule"]],
            "application": ",".join(sorted(pool["application_metadata"])),
        }
        for pool in mon.ask("osd dump")["pools"]
    }
    return {name: seen for name, seen in state.items() if name in params["pools"] + params["adopted"]}


def wanted_state(params: dict[str, Any], seen: State) -> State:
    safe = {key: str(params[key]) for key in ("size", "min_size", "failure_domain")}
    adopted = {name: {**seen[name], **safe} for name in params["adopted"] if name in seen}
    return {name: {**safe, "application": params["application"]} for name in params["pools"]} | adopted


def put(mon: Mon, name: str, seen: dict[str, str], wanted: dict[str, str], rule: str, pg_num: int) -> None:
    """Make the pool when it is missing and change what differs."""
    if not seen:
        mon.ask("osd pool create", pool=name, pg_num=pg_num, pool_type="replicated", rule=rule)
    if seen.get("application") != wanted["application"]:
        mon.ask("osd pool application enable", pool=name, app=wanted["application"])
    if seen and seen["failure_domain"] != wanted["failure_domain"]:
        mon.ask("osd pool set", pool=name, var="crush_rule", val=rule)
    for key in ("size", "min_size"):
        if seen.get(key) != wanted[key]:
            sure = {"yes_i_really_mean_it": True} if key == "size" and wanted[key] == "1" else {}
            mon.ask("osd pool set", pool=name, var=key, val=wanted[key], **sure)


def change(mon: Mon, params: dict[str, Any], rules: Rules, seen: State, wanted: State) -> None:
    domain = params["failure_domain"]
    rule = rules.spreading_over(domain)
    if rule is None:
        rule = f"replicated_{domain}"
        mon.ask("osd crush rule create-replicated", name=rule, root="default", type=domain)
    for name in wanted:
        if seen.get(name) != wanted[name]:
            put(mon, name, seen.get(name, {}), wanted[name], rule, params["pg_num"])


def lines(state: State) -> str:
    return "".join(f"{pool} {key}: {value}\n" for pool in sorted(state) for key, value in sorted(state[pool].items()))


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        mon = Mon(module.params["timeout_s"])
        rules = Rules.read(mon)
        seen = seen_state(mon, module.params, rules)
        wanted = wanted_state(module.params, seen)
        if seen != wanted and not module.check_mode:
            change(mon, module.params, rules, seen, wanted)
        mon.close()
    except CephError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=seen != wanted, diff={"before": lines(seen), "after": lines(wanted)})


if __name__ == "__main__":
    main()
