"""The two segments on the computer, and a network namespace with two cables for each machine."""

import hashlib
import json
from dataclasses import dataclass
from ipaddress import IPv4Network

from lab.command import attempt, run
from lab.errors import LabError
from lab.spec import LabSpec, MachineSpec


@dataclass(frozen=True)
class Route:
    """One entry of the computer's routing table."""

    network: IPv4Network
    interface: str


def routes() -> tuple[Route, ...]:
    """The computer's routes without the default one."""
    listed = json.loads(run(["ip", "-json", "-4", "route", "show"]) or "[]")
    return tuple(Route(IPv4Network(r["dst"]), r["dev"]) for r in listed if r["dst"] != "default" and "dev" in r)


def conflict(spec: LabSpec, known: tuple[Route, ...]) -> str | None:
    """Why the lab's subnet cannot be used on this computer, or None."""
    ours = {spec.management_bridge, spec.guest_bridge}
    for route in known:
        if route.network.overlaps(spec.subnet) and route.interface not in ours:
            return (
                f"The network {spec.subnet} is in use already ({route.network} on {route.interface}): "
                f"choose another with `make up LAB={spec.name} SUBNET=10.x.y.0/24`."
            )
    return None


def check_subnet(spec: LabSpec) -> None:
    """LabError when somebody else on this computer uses the lab's subnet."""
    why_not = conflict(spec, routes())
    if why_not is not None:
        raise LabError(why_not)


def ensure_segments(spec: LabSpec) -> None:
    """Make both bridges with the computer's addresses; existing ones are left as they are."""
    # The control plane's address comes first: it is the one the computer speaks from on that segment.
    bits = spec.management.prefixlen
    _bridge(spec.management_bridge, f"{spec.control_address}/{bits}", f"{spec.gateway_address}/{bits}")
    _bridge(spec.guest_bridge, f"{spec.guest_gateway}/{bits}")


def _bridge(name: str, *addresses: str) -> None:
    if name not in interfaces():
        run(["ip", "link", "add", name, "type", "bridge"])
    run(["ip", "link", "set", name, "addrgenmode", "none", "up"])
    for address in addresses:
        run(["ip", "address", "replace", address, "dev", name])


def interfaces() -> set[str]:
    """Names of the computer's network interfaces."""
    return {link["ifname"] for link in json.loads(run(["ip", "-json", "link", "show"]))}


def namespaces() -> set[str]:
    """Names of the computer's network namespaces."""
    return {ns["name"] for ns in json.loads(run(["ip", "-json", "netns", "list"]) or "[]")}


def plug(machine: MachineSpec) -> str:
    """Give a machine a fresh network namespace with `host0` and `guest0`; returns the namespace's path."""
    unplug(machine)
    run(["ip", "netns", "add", machine.label])
    lab = machine.lab
    cables = (
        (machine.management_port, "host0", lab.management_bridge),
        (machine.guest_port, "guest0", lab.guest_bridge),
    )
    for port, inside, bridge in cables:
        mac = mac_address(port)
        peer = ["peer", "name", inside, "address", mac, "netns", machine.label]
        run(["ip", "link", "add", port, "type", "veth", *peer])
        run(["ip", "link", "set", port, "addrgenmode", "none", "master", bridge, "up"])
    return f"/run/netns/{machine.label}"


def mac_address(port: str) -> str:
    """The inner MAC address of a cable: always the same, since neighbours remember it over a reboot."""
    digest = hashlib.sha256(port.encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def unplug(machine: MachineSpec) -> None:
    """Take a machine's cables and namespace away; nothing happens when there are none."""
    for port in {machine.management_port, machine.guest_port} & interfaces():
        attempt(["ip", "link", "delete", port])  # it may just have gone with its namespace
    if machine.label in namespaces():
        run(["ip", "netns", "delete", machine.label])


def remove_all(name: str) -> None:
    """Remove every bridge, cable and namespace of the lab called `name`."""
    prefix = f"nl-{name}-"
    for namespace in sorted(n for n in namespaces() if n.startswith(prefix)):
        run(["ip", "netns", "delete", namespace])
    for interface in sorted(i for i in interfaces() if i.startswith(prefix)):
        attempt(["ip", "link", "delete", interface])
