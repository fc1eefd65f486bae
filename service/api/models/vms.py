"""VMs and where they run."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from service.api.models.disks import CdromDrive, ExtraDisk, RootDisk, ShownDrive, ShownVmVolume
from service.api.models.jobs import ShownJob
from service.edge.models import Body, Hostname, Id, Instant, ListNamed, Named, Ref, Shown, Text, UserName

MOST_USER_DATA_BYTES = 64 << 10
SSH_KEY = re.compile(
    r"(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-[a-z0-9@.-]+) [A-Za-z0-9+/=]{32,8192}( [ -~]{0,255})?"
)


def _ssh_key(text: str) -> str:
    if not SSH_KEY.fullmatch(text):
        raise ValueError("one line of an OpenSSH public key, as in id_ed25519.pub")
    return text


SshKey = Annotated[str, AfterValidator(_ssh_key)]


def _user_data(text: SecretStr) -> SecretStr:
    told = text.get_secret_value()
    if len(told.encode()) > MOST_USER_DATA_BYTES or "\0" in told:
        raise ValueError(f"at most {MOST_USER_DATA_BYTES} bytes of text without NUL")
    return text


def _once(kinds: list[str]) -> list[str]:
    if len(set(kinds)) != len(kinds):
        raise ValueError("each kind once")
    return kinds


Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:=/-]{0,62}$")]
Tags = Annotated[list[Tag], Field(max_length=64)]
Boot = Annotated[list[Literal["disk", "cdrom", "network"]], Field(min_length=1, max_length=3), AfterValidator(_once)]
Description = Annotated[Text, Field(max_length=1024)]
PlacementGroups = Annotated[list[Ref], Field(max_length=16)]
PlacementAlgorithm = Annotated[
    str, Field(min_length=1, max_length=255, description="For admins: decides, this once, where the VM is placed.")
]
UserData = Annotated[SecretStr, AfterValidator(_user_data)]


class CreateVm(Body):
    """A VM to make and start.

    `network` may be left out when there is only one. Without `image` the root disk begins blank: boot from a CD-ROM
    drive then. `cloud_init` false leaves out the seed that tells the guest its name, address, user and keys; left out,
    there is one where the image reads it. `user_data` is handed to cloud-init as it is, and never shown again.
    """

    name: Hostname
    image: Ref | None = None
    flavor: Ref
    root: RootDisk = Field(default_factory=RootDisk)
    disks: list[ExtraDisk] = Field(default_factory=list, max_length=16)
    cdroms: list[CdromDrive] = Field(default_factory=list, max_length=4)
    boot: Boot = Field(default=["disk", "cdrom"])
    network: Ref | None = None
    nic_model: Literal["virtio", "e1000", "e1000e", "rtl8139"] = "virtio"
    user: UserName | None = None
    ssh_keys: list[SshKey] = Field(default_factory=list, max_length=32)
    user_data: UserData | None = None
    cloud_init: bool | None = None
    firmware: Literal["bios", "uefi"] = "bios"
    chipset: Literal["q35", "pc"] = "q35"
    clock: Literal["utc", "localtime"] = "utc"
    video: Literal["vga", "virtio", "cirrus"] = "vga"
    tags: Tags = Field(default_factory=list)
    description: Description = ""
    placement_groups: PlacementGroups = Field(default_factory=list)
    start: Literal["running", "paused", "stopped"] = "running"
    placement_algorithm: PlacementAlgorithm | None = None

    def _buses(self) -> set[str | None]:
        return {self.root.bus, *(disk.bus for disk in self.disks), *(drive.bus for drive in self.cdroms)}

    @model_validator(mode="after")
    def _has_the_bus(self) -> Self:
        if self.chipset != "pc" and "ide" in self._buses():
            raise ValueError("ide is there with chipset pc only")
        return self

    @model_validator(mode="after")
    def _has_a_seed(self) -> Self:
        if self.cloud_init is False and (self.user or self.ssh_keys or self.user_data):
            raise ValueError("without cloud_init nobody would read user, ssh_keys and user_data")
        return self


class CreateVms(CreateVm):
    """So many VMs alike, named name-1, name-2 and so on, placed as one.

    `fit` all: all of them or none; most: as many as find a host, at least one.
    """

    count: Annotated[int, Field(ge=1, le=100)]
    fit: Literal["all", "most"] = "all"


class StartVm(Body):
    """A VM that starts paused waits to be resumed."""

    paused: bool = False


class RenameVm(Body):
    """The new name. The guest's own hostname stays what it was."""

    name: Hostname


class ResizeVm(Body):
    """The flavor to have: at once where that can be, else at the next start."""

    flavor: Ref


class EditVm(Body):
    """What is left out stays. A boot order holds from the next start on, a placement group from the next placement."""

    description: Description | None = None
    tags: Tags | None = None
    boot: Boot | None = None
    placement_groups: PlacementGroups | None = None


class OpenVnc(Body):
    """How long the password shall hold."""

    seconds: Annotated[int, Field(ge=30, le=3600)] = 600


class MigrateVm(Body):
    """Where to; without `host` the placement chooses."""

    host: Ref | None = None


ObservedState = Literal["creating", "running", "paused", "io_error", "crashed", "stopped", "unknown", "deleting"]


class ListVms(ListNamed):
    """Which VMs to list."""

    observed_state: ObservedState | None = None
    host: Ref | None = None
    flavor: Ref | None = None
    image: Ref | None = None


class ShownVm(Named):
    """A VM, without its disks: what a list shows."""

    project_id: Id
    desired_state: Literal["running", "paused", "stopped"]
    observed_state: ObservedState
    observed_at: Instant | None
    host: str | None
    address: str | None
    user: str | None
    image: str | None
    flavor: str
    vcpus: int
    memory_mib: int
    tags: list[str]
    pending: dict[str, int] | None
    virt_type: str | None
    epoch: int
    created_at: Instant
    managed: bool = Field(description="False: adopted, and only looked at until it is confirmed.")
    created_by: str


class ShownNic(Shown):
    """A VM's network card."""

    network: str
    mac: str
    address: str | None = Field(description="Null: of an adopted VM that nobody has told.")
    model: str


class ShownVmInFull(ShownVm):
    """A VM with its disks and network cards."""

    machine: str | None
    max_vcpus: int
    max_memory_mib: int
    description: str
    firmware: str
    chipset: str
    clock: str
    video: str
    boot: list[str]
    placement_groups: list[str]
    broken_rules: list[str] = Field(description="Of these groups, as the VMs run now: in words.")
    ssh_keys: list[str]
    vnc_expires_at: Instant | None
    volumes: list[ShownVmVolume]
    cdroms: list[ShownDrive]
    nics: list[ShownNic]


class ShownVerdict(Shown):
    """What was thought of one host: reasons against it, or its score with every term, each in [0, 1]."""

    host_id: Id
    host_name: str
    reasons: list[str]
    score: float | None
    terms: list[tuple[str, float]]


class ShownFactsVersion(Shown):
    """Which state of the hosts a decision saw: its number in the journal of the process that decided."""

    journal: str
    number: int


class ShownPlacement(Shown):
    """A decision with its explanation: the best five hosts, and how many each filter ruled out.

    All is null before the first decision.
    """

    id: Id | None = None
    vm_id: Id | None = None
    created_at: Instant | None = None
    algorithm: str | None = None
    policy_hash: str | None = Field(default=None, description="Of the algorithm and its weights.")
    fallback: str | None = Field(default=None, description="Why another algorithm than the one that was asked decided.")
    facts: ShownFactsVersion | None = None
    reasons: dict[str, int] = Field(default_factory=dict, description="Filter: how many hosts it ruled out.")
    chosen: ShownVerdict | None = None
    verdicts: list[ShownVerdict] = Field(default_factory=list)


class ShownBatch(Shown):
    """One job for each VM of a batch. `why_not_all` is null when all were placed; else `reasons` tells of each host."""

    items: list[ShownJob]
    why_not_all: str | None
    reasons: dict[str, list[str]]


class ShownVnc(Shown):
    """The password, which is told this once; the job sets it, and its result tells where VNC listens."""

    password: str
    expires_at: Instant
    job: ShownJob
