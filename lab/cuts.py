"""Cutting a machine's network by nftables on its ports of the two bridges.

Each cut is a table of its own in the bridge family: setting it again replaces it in one transaction, healing
deletes it.
"""

import json
from collections.abc import Sequence

from lab.command import attempt, run
from lab.spec import MachineSpec

STORAGE_PORTS = "{ 3300, 6789, 6800-7300 }"  # mon v2, mon v1, OSD and mgr daemons
MANAGEMENT_PORTS = "{ 22, 16514, 49152-49215, 5900-5999 }"  # ssh, libvirt TLS, migration, VNC


def everything(machine: MachineSpec) -> str:
    """Rules that drop every frame on both cables of a machine."""
    ports = f'{{ "{machine.management_port}", "{machine.guest_port}" }}'
    return _table(machine, [f"iifname {ports} drop"], [f"oifname {ports} drop"])


def tcp_only(machine: MachineSpec, tcp_ports: str) -> str:
    """Rules that drop TCP to and from these ports, in both directions, on the management cable."""
    port = f'"{machine.management_port}"'
    ways = [f"ether type ip tcp {end} {tcp_ports} drop" for end in ("dport", "sport")]
    return _table(machine, [f"iifname {port} {w}" for w in ways], [f"oifname {port} {w}" for w in ways])


def table_name(machine: MachineSpec) -> str:
    """The machine's table; names of one lab share the prefix `nacre_<lab>_`."""
    return f"nacre_{machine.lab.name}_{machine.name}"


def _table(machine: MachineSpec, incoming: Sequence[str], outgoing: Sequence[str]) -> str:
    name = table_name(machine)
    lines = [f"add table bridge {name}", f"delete table bridge {name}", f"table bridge {name} {{"]
    for hook, rules in (("prerouting", incoming), ("postrouting", outgoing)):
        lines += [f"  chain {hook} {{", f"    type filter hook {hook} priority -300; policy accept;"]
        lines += [f"    {rule}" for rule in rules] + ["  }"]
    return "\n".join([*lines, "}", ""])


def apply(rules: str) -> None:
    """Hand rules to the kernel as one transaction."""
    run(["nft", "--file", "-"], text_in=rules)


def heal(machine: MachineSpec) -> None:
    """Undo every cut of a machine."""
    if table_name(machine) in tables():
        attempt(["nft", "delete", "table", "bridge", table_name(machine)])


def tables() -> set[str]:
    """Names of the tables of the bridge family."""
    listed = json.loads(run(["nft", "--json", "list", "tables", "bridge"]))
    return {entry["table"]["name"] for entry in listed["nftables"] if "table" in entry}


def remove_all(lab_name: str) -> None:
    """Delete the tables of every machine of a lab."""
    for table in sorted(t for t in tables() if t.startswith(f"nacre_{lab_name}_")):
        run(["nft", "delete", "table", "bridge", table])
