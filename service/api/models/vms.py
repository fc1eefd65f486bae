"""Models of VMs and their placement."""

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
    secret = text.get_secret_value()
    if len(secret.encode()) > MOST_USER_DATA_BYTES or "\0" in secret:
        raise ValueError(f"at most {MOST_USER_DATA_BYTES} bytes of text without NUL")
    return text


def _once(kinds: list[str]) -> list[str]:
    if len(set(kinds)) != len(kinds):
        raise ValueError("each kind at most once")
    return kinds


Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:=/-]{0,62}$")]
Tags = Annotated[list[Tag], Field(max_length=64)]
Boot = Annotated[list[Literal["disk", "cdrom", "network"]], Field(min_length=1, max_length=3), AfterValidator(_once)]
Description = Annotated[Text, Field(max_length=1024)]
PlacementGroups = Annotated[list[Ref], Field(max_length=16)]
PlacementAlgorithm = Annotated[
    str, Field(min_length=1, max_length=255, description="Placement algorithm for this VM (admins only).")
]
UserData = Annotated[SecretStr, AfterValidator(_user_data)]


class CreateVm(Body):
    """VM to create and start.

    `network` may be left out if there is only one. Without `image` the root disk is blank: boot from a CD-ROM drive.
    `cloud_init` false leaves out the seed with the guest's name, address, user and keys; default: a seed if the image
    has cloud-init. `user_data` is passed to cloud-init unchanged and never shown again.
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
            raise ValueError("ide needs chipset pc")
        return self

    @model_validator(mode="after")
    def _has_a_seed(self) -> Self:
        if self.cloud_init is False and (self.user or self.ssh_keys or self.user_data):
            raise ValueError("user, ssh_keys and user_data need cloud_init")
        return self


class CreateVms(CreateVm):
    """Batch of `count` equal VMs, named name-1, name-2 and so on.

    `fit` all: all or none; most: as many as fit, at least one.
    """

    count: Annotated[int, Field(ge=1, le=100)]
    fit: Literal["all", "most"] = "all"


class StartVm(Body):
    """Start options: a VM that starts paused waits for resume."""

    paused: bool = False


class RenameVm(Body):
    """New name; the hostname inside the guest is unchanged."""

    name: Hostname


class ResizeVm(Body):
    """New flavor."""

    flavor: Ref


class UpdateVm(Body):
    """Changes of a VM; missing fields are not changed.

    A boot order takes effect at the next start, a placement group at the next placement.
    """

    description: Description | None = None
    tags: Tags | None = None
    boot: Boot | None = None
    placement_groups: PlacementGroups | None = None


class OpenVnc(Body):
    """Lifetime of the VNC password."""

    seconds: Annotated[int, Field(ge=30, le=3600)] = 600


class MigrateVm(Body):
    """Target of a migration; default: the best other host."""

    host: Ref | None = None


ObservedState = Literal["creating", "running", "paused", "io_error", "crashed", "stopped", "unknown", "deleting"]


class ListVms(ListNamed):
    """Filters of the list of VMs."""

    observed_state: ObservedState | None = None
    host: Ref | None = None
    flavor: Ref | None = None
    image: Ref | None = None


class ShownVm(Named):
    """VM without its disks, as in a list."""

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
    managed: bool = Field(description="False: adopted and only observed until it is confirmed.")
    created_by: str


class ShownNic(Shown):
    """Network card of a VM."""

    network: str
    mac: str
    address: str | None = Field(description="Null: an adopted VM whose address was not given.")
    model: str


class ShownVmInFull(ShownVm):
    """VM with its disks and network cards."""

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
    broken_rules: list[str] = Field(description="Violated rules of its placement groups, as text.")
    ssh_keys: list[str]
    vnc_expires_at: Instant | None
    volumes: list[ShownVmVolume]
    cdroms: list[ShownDrive]
    nics: list[ShownNic]


class ShownVerdict(Shown):
    """Verdict on a host: reasons against it, or its score with terms, each in [0, 1]."""

    host_id: Id
    host_name: str
    reasons: list[str]
    score: float | None
    terms: list[tuple[str, float]]


class ShownFactsVersion(Shown):
    """Version of the host facts of a decision: a number in a process's journal."""

    journal: str
    number: int


class ShownPlacement(Shown):
    """Decision: the best five hosts, and the number of hosts per filter.

    All fields are null before the first decision.
    """

    id: Id | None = None
    vm_id: Id | None = None
    created_at: Instant | None = None
    algorithm: str | None = None
    policy_hash: str | None = Field(default=None, description="Hash of the algorithm and its weights.")
    fallback: str | None = Field(default=None, description="Why another algorithm than the requested one decided.")
    facts: ShownFactsVersion | None = None
    reasons: dict[str, int] = Field(default_factory=dict, description="Filter to number of hosts that it rejected.")
    chosen: ShownVerdict | None = None
    verdicts: list[ShownVerdict] = Field(default_factory=list)


class ShownBatch(Shown):
    """Jobs of a batch, one per VM.

    `why_not_all` is null if all VMs were placed; else `reasons` has the reasons of each host.
    """

    items: list[ShownJob]
    why_not_all: str | None
    reasons: dict[str, list[str]]


class ShownVnc(Shown):
    """VNC password, shown only once; the result of the job has the address of VNC."""

    password: str
    expires_at: Instant
    job: ShownJob
