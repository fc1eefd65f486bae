"""What a lab is made of, as values: names, addresses, folders. Nothing here touches the computer."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from lab.errors import LabError

NAME = re.compile(r"[a-z][a-z0-9]{0,7}")
RESERVED = {"cache", "locks"}
DEFAULT_NAME = "demo"
DEFAULT_SUBNETS = {"demo": "10.80.0.0/24", "test": "10.81.0.0/24"}
OSD_SIZE_BYTES = 10 * 2**30
FIRST_HOST, MOST_HOSTS, MOST_OSDS = 11, 16, 4
CONTROL = 0
# RFC 1918. `is_private` says True of the loopback and of other networks that no bridge can have.
PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class LabSpec:
    """One lab: `hosts` machines with `osds_per_host` disks each, on two segments cut from one /24."""

    name: str
    subnet: IPv4Network
    hosts: int
    osds_per_host: int
    base: Path
    control: bool = False  # one machine more, without disks, for the control plane's role

    @property
    def management(self) -> IPv4Network:
        """Management and storage traffic: the lower half of the subnet."""
        return next(self.subnet.subnets())

    @property
    def guests(self) -> IPv4Network:
        """The guests' own segment: the upper half of the subnet."""
        return list(self.subnet.subnets())[1]

    @property
    def gateway_address(self) -> IPv4Address:
        """The computer's end of the management segment."""
        return self.management[1]

    @property
    def control_address(self) -> IPv4Address:
        """The control plane's own address, so that fencing a host by address never hits the control plane."""
        return self.management[2]

    @property
    def guest_gateway(self) -> IPv4Address:
        """The computer's end of the guest segment."""
        return self.guests[1]

    @property
    def guest_pool(self) -> tuple[IPv4Address, IPv4Address]:
        """First and last address that guests may get."""
        return self.guests[12], self.guests[122]

    @property
    def management_bridge(self) -> str:
        """Bridge of the management segment on the computer."""
        return f"nl-{self.name}-m"

    @property
    def guest_bridge(self) -> str:
        """Bridge of the guest segment on the computer."""
        return f"nl-{self.name}-g"

    @property
    def folder(self) -> Path:
        """Everything this lab keeps between runs."""
        return self.base / self.name

    @property
    def machines(self) -> tuple["MachineSpec", ...]:
        """The lab's hosts, host1 first."""
        return tuple(MachineSpec(self, number) for number in range(1, self.hosts + 1))

    @property
    def control_machine(self) -> "MachineSpec | None":
        """The machine that the control plane's role is deployed on, when the lab has one."""
        return MachineSpec(self, CONTROL) if self.control else None

    @property
    def all_machines(self) -> tuple["MachineSpec", ...]:
        """The hosts, then the control machine."""
        return (*self.machines, MachineSpec(self, CONTROL)) if self.control else self.machines


@dataclass(frozen=True)
class MachineSpec:
    """One machine of a lab; a host's `number` counts from 1, the control machine's is CONTROL."""

    lab: LabSpec
    number: int

    @property
    def name(self) -> str:
        """The hostname inside."""
        return "control" if self.number == CONTROL else f"host{self.number}"

    @property
    def label(self) -> str:
        """Unique on the computer: names of the network namespace and the control groups start with it."""
        return f"nl-{self.lab.name}-{self.name}"

    @property
    def address(self) -> IPv4Address:
        """The machine's management address."""
        return self.lab.management[FIRST_HOST - 1 + self.number]

    @property
    def management_port(self) -> str:
        """The computer's end of the machine's management cable (`host0` inside); 15 characters at most."""
        return f"nl-{self.lab.name}-m{self.number}"

    @property
    def guest_port(self) -> str:
        """The computer's end of the machine's guest-segment cable (`guest0` inside)."""
        return f"nl-{self.lab.name}-g{self.number}"

    @property
    def folder(self) -> Path:
        """Overlay folders, device nodes and the console log."""
        return self.lab.folder / "machines" / self.name

    @property
    def record(self) -> Path:
        """Where the machine's process is recorded."""
        return self.lab.folder / "run" / f"{self.name}.pid"

    @property
    def disks(self) -> tuple[Path, ...]:
        """The sparse files behind the machine's OSD disks."""
        return tuple(self.lab.folder / "osd" / f"{self.name}-{n}.img" for n in range(self._disk_count))

    @property
    def osd_devices(self) -> tuple[str, ...]:
        """The same disks as the machine sees them."""
        return tuple(f"/dev/nacre-osd{n}" for n in range(self._disk_count))

    @property
    def _disk_count(self) -> int:
        return 0 if self.number == CONTROL else self.lab.osds_per_host


def make_spec(name: str, subnet: str, hosts: int, osds_per_host: int, *, base: Path, control: bool = False) -> LabSpec:
    """Check the parameters of `make up`; LabError names the wrong one and what it may be."""
    check_name(name)
    if not 1 <= hosts <= MOST_HOSTS:
        raise LabError(f"HOSTS={hosts} is out of range: use 1 to {MOST_HOSTS}.")
    if not 1 <= osds_per_host <= MOST_OSDS:
        raise LabError(f"OSDS_PER_HOST={osds_per_host} is out of range: use 1 to {MOST_OSDS}.")
    return LabSpec(name, _network(subnet), hosts, osds_per_host, base, control)


def check_name(name: str) -> None:
    """LabError unless this may be a lab's name; some folders beside the labs' own have names of that form too."""
    if not NAME.fullmatch(name) or name in RESERVED:
        raise LabError(f"LAB={name} is no lab name: use 1 to 8 lower-case letters and digits, a letter first.")


def _network(text: str) -> IPv4Network:
    wrong = LabError(f"SUBNET={text} cannot be used: give a private /24 network such as 10.80.0.0/24.")
    try:
        network = IPv4Network(text)
    except ValueError as bad:
        raise wrong from bad
    if network.prefixlen != 24 or not any(network.subnet_of(private) for private in PRIVATE):
        raise wrong
    return network
