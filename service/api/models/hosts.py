"""Hosts, pools and the storage cluster."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from service.api.models.base import (
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
    created_at: Instant


HostState = Literal["active", "cordoned", "draining", "maintenance", "down", "fenced"]


class ListHosts(ListNamed):
    """Which hosts to list."""

    state: HostState | None = None


class ListPools(Listing):
    """Which pools to list."""

    sort: Literal["name", "-name"] = "name"
    name: Ref | None = None


class Reserved(Shown):
    """What is kept back on a host for its own OSDs."""

    vcpus: int
    memory_mib: int


class Allocated(Reserved):
    """What is promised to VMs on a host."""

    vms: int


class ShownHostFacts(Shown):
    """What was last seen of a host. `cpu_load` is the share of its vCPUs that guests burnt, 0 to 1."""

    cpu_time_s: float
    cpu_load: float | None
    domains: int
    used_vcpus: int
    used_memory_mib: int
    strays: list[ShownStray] = Field(default_factory=list)
    foreign: list[ShownDomain] = Field(default_factory=list)


class ShownHost(Named):
    """A host, with what is promised on it. Only its keepers are told of domains and findings on it."""

    address: str
    state: HostState
    virt_type: Literal["kvm", "qemu"] | None
    vcpus: int
    memory_mib: int
    reserved: Reserved
    allocated: Allocated
    facts: ShownHostFacts | None
    observed_at: Instant | None
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


class ShownStorage(Shown):
    """The storage cluster as last observed; `status` is null before the first look."""

    status: str | None
    checks: list[str] = Field(default_factory=list)
    version: str = ""
    osds: list[ShownOsd]
    observed_at: Instant | None
