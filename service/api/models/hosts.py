"""Hosts, pools and the storage cluster."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from service.edge.models import (
    Address,
    Body,
    Hostname,
    Instant,
    Label,
    Line,
    Listing,
    ListNamed,
    MemoryMib,
    Named,
    Ref,
    Shown,
    Vcpus,
)

Reservation = Annotated[int, Field(ge=0, le=64 << 20)]
VcpuRatio = Annotated[float, Field(ge=0.1, le=64)]  # the settings' bounds, too
MemoryRatio = Annotated[float, Field(ge=0.1, le=4)]
CephUser = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$")]


class AddHost(Body):
    """A host to take into the cloud. What is left out the host says itself; its OSDs' share is reserved first.

    With `force` a host is taken although checks failed, unless it cannot work at all.
    """

    address: Address
    name: Hostname | None = None
    vcpus: Vcpus | None = None
    memory_mib: MemoryMib | None = None
    reserved_vcpus: Reservation | None = None
    reserved_memory_mib: Reservation | None = None
    ceph_user: CephUser | None = None
    force: bool = False

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        takes_all = (
            self.vcpus is not None and (self.reserved_vcpus or 0) >= self.vcpus,
            self.memory_mib is not None and (self.reserved_memory_mib or 0) >= self.memory_mib,
        )
        if any(takes_all):
            raise ValueError("the reservation takes the whole host")
        return self


class UpdateHost(Body):
    """What shall be different. A cordoned host keeps its VMs and gets no new ones."""

    state: Literal["active", "cordoned"] | None = None
    vcpus: Vcpus | None = None
    memory_mib: MemoryMib | None = None
    reserved_vcpus: Reservation | None = None
    reserved_memory_mib: Reservation | None = None


class CheckHost(Body):
    """A machine to look at: a host of the cloud, or any address."""

    host: Ref | None = None
    address: Address | None = None
    ceph_user: CephUser | None = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.host is None) == (self.address is None):
            raise ValueError("name either a host or an address")
        return self


class CreateHostGroup(Body):
    """Hosts that are spoken of together."""

    name: Label
    description: Annotated[Line, Field(max_length=255)] = ""


class ChangeHostGroup(Body):
    """What is left out stays; null: the setting counts. `algorithm` places the VMs of projects bound to the group."""

    description: Annotated[Line, Field(max_length=255)] | None = None
    vcpu_ratio: VcpuRatio | None = None
    memory_ratio: MemoryRatio | None = None
    algorithm: Annotated[str, Field(pattern=r"^[!-~]{1,255}$")] | None = None


class AddPool(Body):
    """A pool of the storage cluster to take into use."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$")]
    uses: list[Literal["vms", "images"]] = Field(default=["vms"], min_length=1, max_length=2)


class AdoptVm(Body):
    """A domain (its UUID) on a host to take in. `addresses` tells those of its cards, by MAC."""

    host: Ref
    domain: Annotated[UUID, Field(strict=False)]
    name: Hostname
    flavor: Ref | None = None
    addresses: dict[Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$")], Address] = Field(
        default_factory=dict, max_length=16
    )


class ShownFinding(Shown):
    """One check of a host: `told` is what was found, `mend` the next step where that is not good."""

    check: str
    verdict: Literal["ok", "warn", "fail"]
    told: str
    mend: str


class ShownDomain(Shown):
    """A domain that somebody else made on a host."""

    vm_id: str
    name: str
    state: str
    vcpus: int
    memory_mib: int


class ShownStray(Shown):
    """A domain of Nacre's that should not be on this host."""

    vm_id: str
    name: str
    state: str
    why: str


class ShownHostGroup(Named):
    """A host group with its hosts' names."""

    description: str
    hosts: list[str]
    vcpu_ratio: float | None = Field(description="vCPUs promised per thread; null: the setting counts.")
    memory_ratio: float | None = Field(description="Beyond 1 only as far as KSM is measured to save.")
    algorithm: str | None
    created_at: Instant


HostState = Literal["active", "cordoned", "draining", "maintenance", "down", "fenced"]


class ListHosts(ListNamed):
    """Which hosts to list."""

    state: HostState | None = None


class ListPools(Listing):
    """Which pools to list."""

    sort: Literal["name", "-name"] = "name"
    name: Ref | None = None


class Capacity(Shown):
    """vCPUs and memory."""

    vcpus: int
    memory_mib: int


class Reserved(Capacity):
    """What is kept back on a host for its own OSDs."""


class Allocated(Capacity):
    """What is promised to VMs on a host."""

    vms: int


class ShownHostFacts(Shown):
    """What was last seen of a host, rounded. Loads are shares of its CPUs, 0 to 1: `cpu_load` of all work,
    `guest_cpu_load` of the guests, `ceph_cpu` the rest. `ksm_saved_mib` is null where equal pages are not merged."""

    cpu_load: float | None
    guest_cpu_load: float | None = None
    ceph_cpu: float | None = None
    memory_used_mib: int | None = None
    ksm_saved_mib: int | None = None
    domains: int
    used_vcpus: int
    used_memory_mib: int
    strays: list[ShownStray] = Field(default_factory=list)
    foreign: list[ShownDomain] = Field(default_factory=list)


class ShownHostStorage(Shown):
    """What the storage goes through on a host. Milliseconds are averages over the last looks; null means no data.

    `ping_ms` is that of its link to the middle one of the other hosts, `pgs` counts placement groups with a copy here,
    `local_reads` is their share of each pool.
    """

    osds: int
    osds_up: int
    op_latency_ms: float | None = Field(description="The slowest of its OSDs to put a write on the disk.")
    slow_ops: int
    ping_ms: float | None
    pgs: int
    pgs_degraded: int
    pgs_recovering: int
    local_reads: dict[str, float]
    osd_memory_mib: int


class ShownHostUsage(Shown):
    """What was seen of a host over time. Shares of its CPUs, 0 to 1; null where too little is known.

    Average and peak (95th percentile) are of the last day, the forecast is of the coming four hours.
    """

    cpu_average: float | None
    cpu_peak: float | None
    cpu_forecast: float | None
    ceph_cpu: float | None
    memory_used_mib: int | None
    ksm_saved_mib: int | None


class ShownNumaCell(Shown):
    """CPUs of a host that are near the same memory."""

    number: int
    cpus: int
    memory_mib: int


class ShownLink(Shown):
    """A network card of a host; its speed is null when the card does not tell."""

    name: str
    up: bool
    speed_mbit: int | None


class ShownHardware(Shown):
    """What a host is made of, as it says itself. null: it cannot tell, or was not asked yet."""

    cpu_model: str | None
    cpus: int | None
    memory_mib: int | None
    numa: list[ShownNumaCell] | None
    firmwares: list[str] | None
    bridges: list[str] | None
    links: list[ShownLink] | None
    local_disk_free_bytes: int | None
    libvirt_version: str | None
    qemu_version: str | None


class ShownHost(Named):
    """A host, with what is promised on it. Only its keepers are told of domains and findings on it."""

    address: str
    state: HostState
    virt_type: Literal["kvm", "qemu"] | None
    vcpus: int
    memory_mib: int
    reserved: Reserved
    reserved_for_osds: Capacity = Field(description="What its OSDs need now; more than `reserved` counts instead.")
    usable: Capacity = Field(description="What may be promised in all: less what is reserved, by the ratios.")
    allocated: Allocated
    free: Capacity
    overcommitted_by: Capacity | None = Field(description="Promised beyond `usable`; null: nothing.")
    facts: ShownHostFacts | None
    observed_at: Instant | None
    hardware: ShownHardware | None
    usage: ShownHostUsage | None
    usage_observed_at: Instant | None
    storage: ShownHostStorage | None = Field(description="null: never looked at, or no OSD here.")
    storage_observed_at: Instant | None
    problem: str | None
    findings: list[ShownFinding] | None
    checked_at: Instant | None
    created_at: Instant


class ShownPool(Shown):
    """A pool, and what it is used for. The rest is as last observed; `free_bytes` is what guests may still write."""

    name: str
    uses: list[Literal["vms", "images"]]
    default_for: list[Literal["vms", "images"]]
    replicas: int | None
    stored_bytes: int | None
    free_bytes: int | None
    near_full: bool | None
    full: bool | None
    quota_bytes: int | None
    crush_rule: str | None
    device_class: str | None = Field(description="The only class of disks that its rule takes; null: any.")
    observed_at: Instant | None


class ShownOsd(Shown):
    """An OSD. A latency of null means no data: an idle OSD reports none."""

    osd_id: int
    host: str
    up: bool
    in_cluster: bool
    commit_latency_ms: float | None
    apply_latency_ms: float | None
    used_bytes: int
    total_bytes: int
    device_class: str | None = None


class ShownStorage(Shown):
    """The storage cluster as last observed; `status` is null before the first look."""

    status: str | None
    checks: list[str] = Field(default_factory=list)
    version: str = ""
    osds: list[ShownOsd]
    observed_at: Instant | None
