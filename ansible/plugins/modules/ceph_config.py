"""Settings in the cluster's own configuration database."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.nacre_ceph import CephError, Mon

DOCUMENTATION = r"""
module: ceph_config
short_description: Set options in Ceph's configuration database
description:
  - Runs on a monitor's host and waits for the monitors' quorum.
  - Give values as Ceph prints them (bytes, true or false), so that a second run finds them unchanged.
options:
  settings:
    description: Section (global, mon, osd, osd.3, client ...) to a mapping of option to value.
    type: dict
    required: true
  timeout_s: {type: int, default: 60, description: How long the quorum may take.}
author: Nacre
"""

EXAMPLES = r"""
- name: Give every OSD 4 GiB
  ceph_config: {settings: {osd: {osd_memory_target: 4294967296}}}
"""

RETURN = r"""#"""


def text(value: Any) -> str:
    """A value as Ceph prints it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def lines(settings: dict[tuple[str, str], str]) -> str:
    return "".join(f"{section}/{name} = {value}\n" for (section, name), value in sorted(settings.items()))


def main() -> None:
    spec = {"settings": {"type": "dict", "required": True}, "timeout_s": {"type": "int", "default": 60}}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    sections = module.params["settings"]
    wanted = {(who, name): text(value) for who, options in sections.items() for name, value in options.items()}
    try:
        mon = Mon(module.params["timeout_s"])
        stored = {(entry["section"], entry["name"]): entry["value"] for entry in mon.ask("config dump")}
        seen = {key: stored[key] for key in wanted if key in stored}
        for (who, name), value in wanted.items():
            if seen.get((who, name)) != value and not module.check_mode:
                mon.ask("config set", who=who, name=name, value=value)
        mon.close()
    except CephError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=seen != wanted, diff={"before": lines(seen), "after": lines(wanted)})


if __name__ == "__main__":
    main()
