"""Bring many systemd units of a host into their state in one module call."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.nacre_systemd import Unit, show, written_s

DOCUMENTATION = r"""
module: nacre_units
short_description: Enable, start, restart and mask many systemd units in one call
description:
  - Reads every unit with a single C(systemctl show), changes only what differs, reloads unit files that changed.
options:
  enabled: {type: list, elements: str, default: [], description: Units started at boot.}
  started: {type: list, elements: str, default: [], description: "Units that run now, in the order to start them."}
  read_at_start:
    description:
      - Files that the I(started) units read when they start. A unit that is older than one of them is restarted, also
        when the run that wrote the file was cut short.
    type: list
    elements: path
    default: []
  masked: {type: list, elements: str, default: [], description: Units that must not run; absent ones count as masked.}
  restarted: {type: list, elements: str, default: [], description: Units restarted in any case.}
  stop_before_start:
    description: Units stopped before anything starts, because a running daemon does not take over a later socket.
    type: list
    elements: str
    default: []
author: Nacre
"""

EXAMPLES = r"""
- name: Keep the time service running
  nacre_units: {enabled: [chrony.service], started: [chrony.service], read_at_start: [/etc/chrony/chrony.conf]}
"""

RETURN = r"""
actions:
  description: The systemctl calls that were needed.
  type: list
  elements: str
  returned: always
"""

KINDS = ("enabled", "started", "masked", "restarted", "stop_before_start")


def plan(params: dict[str, Any], units: dict[str, Unit], written: float) -> list[list[str]]:
    """The systemctl calls that lead from what is to what is wanted; empty when nothing differs."""
    mask = [name for name in params["masked"] if units[name].loaded and not units[name].masked]
    enable = [name for name in params["enabled"] if not units[name].at_boot]
    down = {name for name in params["started"] if not units[name].runs}
    outdated = {name for name in params["started"] if units[name].runs and units[name].since_s < written}
    restart = outdated | set(params["restarted"])
    stop = [name for name in params["stop_before_start"] if (down or restart) and units[name].runs]
    # In the order given: a socket comes before the service behind it. "restart" also starts what is down.
    order = dict.fromkeys([*params["started"], *params["restarted"]])
    bring_up = [name for name in order if name in down | restart or name in stop]
    calls = {"mask --now": mask, "enable": enable, "stop": stop, "restart" if restart else "start": bring_up}
    return [[*verb.split(), *names] for verb, names in calls.items() if names]


def main() -> None:
    options: dict[str, Any] = {kind: {"type": "list", "elements": "str", "default": []} for kind in KINDS}
    options["read_at_start"] = {"type": "list", "elements": "path", "default": []}
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    names = list(dict.fromkeys(name for kind in KINDS for name in module.params[kind]))
    units = show(module, *names)
    if any(unit.stale for unit in units.values()) and not module.check_mode:
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
        units = show(module, *names)
    calls = plan(module.params, units, written_s(module.params["read_at_start"]))
    if not module.check_mode:
        for call in calls:
            module.run_command(["systemctl", *call], check_rc=True)
    actions = [" ".join(call) for call in calls]
    diff = {"before": "", "after": "".join(f"systemctl {action}\n" for action in actions)}
    module.exit_json(changed=bool(actions), actions=actions, diff=diff)


if __name__ == "__main__":
    main()
