"""Models of hosts, host groups, pools and the storage cluster."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from service.api.models.facts import fields_of
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
from service.facts.host import HostHardware, HostLink, HostLoad, HostStorage, HostUsage, NumaCell

Reservation = Annotated[int, Field(ge=0, le=64 << 20)]
VcpuRatio = Annotated[float, Field(ge=0.1, le=64)]  # the settings' bounds, too
MemoryRatio = Annotated[float, Field(ge=0.1, le=4)]
CephUser = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$")]


class AddHost(Body):
    """Host to add; missing fields are read from the host.

    Capacity for its OSDs is reserved first. With `force` the host is added although optional checks fail.
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
            raise ValueError("the reservation must leave vCPUs and memory for VMs")
        return self


class UpdateHost(Body):
    """Changes of a host. A cordoned host keeps its VMs and gets no new ones."""

    state: Literal["active", "cordoned"] | None = None
    vcpus: Vcpus | None = None
    memory_mib: MemoryMib | None = None
    reserved_vcpus: Reservation | None = None
    reserved_memory_mib: Reservation | None = None


class CheckHost(Body):
    """Machine to check: a host, or any address."""

    host: Ref | None = None
    address: Address | None = None
    ceph_user: CephUser | None = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.host is None) == (self.address is None):
            raise ValueError("give either host or address")
        return self


class CreateHostGroup(Body):
    """Host group to create."""

    name: Label
    description: Annotated[Line, Field(max_length=255)] = ""


class UpdateHostGroup(Body):
    """Changes of a host group; missing fields are not changed.

    Null restores the service's setting. `algorithm` places the VMs of projects with the group.
    """

    description: Annotated[Line, Field(max_length=255)] | None = None
    vcpu_ratio: VcpuRatio | None = None
    memory_ratio: MemoryRatio | None = None
    algorithm: Annotated[str, Field(pattern=r"^[!-~]{1,255}$")] | None = None


class AddPool(Body):
    """Ceph pool to add."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$")]
    uses: list[Literal["vms", "images"]] = Field(default=["vms"], min_length=1, max_length=2)


class AdoptVm(Body):
    """Domain (by UUID) on a host to adopt, with its cards' addresses by MAC."""

    host: Ref
    domain: Annotated[UUID, Field(strict=False)]
    name: Hostname
    flavor: Ref | None = None
    addresses: dict[Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$")], Address] = Field(
        default_factory=dict, max_length=16
    )


class ShownFinding(Shown):
    """Result of one check of a host: `detail` of the result, `fix` of a problem."""

    check: str
    verdict: Literal["ok", "warn", "fail"]
    detail: str
    fix: str


class ShownDomain(Shown):
    """Domain on a host that Nacre did not create."""

    vm_id: str
    name: str
    state: str
    vcpus: int
    memory_mib: int


class ShownStray(Shown):
    """Domain of Nacre that must not be on this host."""

    vm_id: str
    name: str
    state: str
    why: str


class ShownHostGroup(Named):
    """Host group with its hosts' names."""

    description: str
    hosts: list[str]
    vcpu_ratio: float | None = Field(description="vCPUs to allocate per CPU thread; null: the service's setting.")
    memory_ratio: float | None = Field(
        description="Above 1 only as far as KSM saves memory; null: the service's setting."
    )
    algorithm: str | None
    created_at: Instant


HostState = Literal["active", "cordoned", "draining", "maintenance", "down", "fenced"]


class ListHosts(ListNamed):
    """Filters of the list of hosts."""

    state: HostState | None = None


class ListPools(Listing):
    """Filters of the list of pools."""

    sort: Literal["name", "-name"] = "name"
    name: Ref | None = None


class Capacity(Shown):
    """Amount of vCPUs and memory."""

    vcpus: int
    memory_mib: int


class Reserved(Capacity):
    """Capacity reserved for a host's OSDs."""


class Allocated(Capacity):
    """Capacity allocated to VMs on a host."""

    vms: int


class ShownHostFacts(Shown):
    """Load of a host at its last observation, rounded.

    Shares are of its CPUs, 0 to 1; null until two observations are compared.
    """

    __annotations__ = {
        **fields_of(HostLoad),
        "strays": list[ShownStray],
        "foreign": list[ShownDomain],
    }


class ShownHostStorage(Shown):
    """Ceph load on one host.

    Milliseconds are averages over the last observations; null: idle, no data.
    """

    __annotations__ = fields_of(HostStorage)


class ShownHostUsage(Shown):
    """Usage of a host over time.

    Shares are of its CPUs, 0 to 1; null where too little is known.
    """

    __annotations__ = fields_of(HostUsage)


class ShownNumaCell(Shown):
    """NUMA cell of a host."""

    __annotations__ = fields_of(NumaCell)


class ShownLink(Shown):
    """A network card of a host; its speed is null when the card does not report it."""

    __annotations__ = fields_of(HostLink)


class ShownHardware(Shown):
    """Hardware and software of a host as its hypervisor reports them.

    null: not reported, or not observed yet.
    """

    __annotations__ = fields_of(HostHardware, {NumaCell: ShownNumaCell, HostLink: ShownLink})


class ShownHost(Named):
    """Host with its allocations; only admins and operators see domains and findings."""

    address: str
    state: HostState
    virt_type: Literal["kvm", "qemu"] | None
    vcpus: int
    memory_mib: int
    reserved: Reserved
    reserved_for_osds: Capacity = Field(description="Need of its OSDs now; used instead of `reserved` if it is larger.")
    usable: Capacity = Field(description="Capacity to allocate in total: less the reservation, times the ratios.")
    allocated: Allocated
    free: Capacity
    overcommitted_by: Capacity | None = Field(description="Allocated beyond `usable`; null: not overcommitted.")
    facts: ShownHostFacts | None
    observed_at: Instant | None
    hardware: ShownHardware | None
    usage: ShownHostUsage | None
    usage_observed_at: Instant | None
    storage: ShownHostStorage | None = Field(description="null: not observed yet, or no OSD on the host.")
    storage_observed_at: Instant | None
    problem: str | None
    findings: list[ShownFinding] | None
    checked_at: Instant | None
    created_at: Instant


class ShownPool(Shown):
    """Pool with its uses and last observation; `free_bytes` can be written by guests."""

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
    device_class: str | None = Field(description="Device class that its CRUSH rule is limited to; null: any.")
    observed_at: Instant | None


class ShownOsd(Shown):
    """OSD; a latency is null if the OSD is idle."""

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
    """Storage cluster as last observed; `status` is null before the first observation."""

    status: str | None
    checks: list[str] = Field(default_factory=list)
    version: str = ""
    osds: list[ShownOsd]
    observed_at: Instant | None
