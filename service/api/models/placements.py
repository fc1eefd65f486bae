"""Models of placement decisions, replays and simulations."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from service.api.models.vms import ShownFactsVersion, ShownVerdict
from service.edge.models import (
    Body,
    Flag,
    Hostname,
    Id,
    Instant,
    Label,
    ListByTime,
    MemoryMib,
    Query,
    Ref,
    Shown,
    Vcpus,
)

Weights = Annotated[dict[Annotated[str, Field(max_length=63)], float], Field(max_length=32)]
Algorithm = Annotated[str, Field(min_length=1, max_length=255)]
Size = Annotated[int, Field(ge=1, le=10_000)]


class ListPlacements(ListByTime):
    """Filters of the list of decisions."""

    vm: Ref | None = None
    host: Ref | None = None


class AskPlacement(Query):
    """Query of a decision."""

    full: Flag = Field(default=False, description="Include every host's verdict, as long as the facts are stored.")


class ReplayPlacement(Body):
    """Algorithm and weights of a replay; default: the current ones."""

    algorithm: Algorithm | None = None
    weights: Weights | None = None


class SimulatedVms(Body):
    """Equal VMs, of a flavor or of a size."""

    name: Label | None = None
    count: Size = 1
    flavor: Ref | None = None
    vcpus: Vcpus | None = None
    memory_mib: MemoryMib | None = None

    @model_validator(mode="after")
    def _has_one_size(self) -> Self:
        sized = self.vcpus is not None and self.memory_mib is not None
        given = self.vcpus is not None or self.memory_mib is not None
        if (self.flavor is None) != sized or (self.flavor is not None and given):
            raise ValueError("give either flavor, or vcpus and memory_mib")
        return self


class SimulatedHosts(Body):
    """Hosts equal to an existing host without VMs, optionally of another size."""

    name: Hostname = "added"
    count: Annotated[int, Field(ge=1, le=1000)] = 1
    like: Ref
    vcpus: Vcpus | None = None
    memory_mib: MemoryMib | None = None


class SimulatePlacements(Body):
    """VMs to place on the current hosts, without lost hosts and with added ones.

    VMs of lost hosts are placed first. `fit` all: if one new VM fits on no host, none is placed.
    """

    vms: list[SimulatedVms] = Field(default_factory=list, max_length=100)
    hosts_lost: list[Ref] = Field(default_factory=list, max_length=100)
    hosts_added: list[SimulatedHosts] = Field(default_factory=list, max_length=100)
    fit: Literal["all", "most"] = "most"
    algorithm: Algorithm | None = None
    weights: Weights | None = None


class ShownDecision(Shown):
    """Decision: the best five hosts with terms, and the number of hosts per filter."""

    algorithm: str
    policy_hash: str | None
    fallback: str | None = Field(description="Why another algorithm than the requested one decided.")
    chosen: ShownVerdict | None
    verdicts: list[ShownVerdict]
    reasons: dict[str, int]


class ShownKeptPlacement(ShownDecision):
    """Stored decision; `request` is the VM's need, null in very old decisions."""

    id: Id
    vm_id: Id
    vm: str | None = Field(description="The VM's name; null if it is deleted.")
    project_id: Id | None
    host_id: Id | None
    created_at: Instant
    request: dict[str, object] | None
    facts: ShownFactsVersion | None
    exact: bool | None = Field(
        description="True if recomputed verdicts equal the stored ones; false after a scorer changed."
    )


class ShownReplay(ShownDecision):
    """Replayed decision; `same` if it chose the same host."""

    same: bool


class ShownOutcome(Shown):
    """Outcome of equal VMs or of a lost host; `hosts`: name to number of VMs."""

    name: str
    count: int
    placed: int
    hosts: dict[str, int]
    first: ShownDecision | None
    refused: ShownDecision | None = Field(description="Decision on the first VM that fits on no host.")


class ShownRoom(Shown):
    """Free capacity of a host after a simulation."""

    host: str
    vms: int
    free_vcpus: int
    free_memory_mib: int


class ShownSimulation(Shown):
    """Simulation: `left` has hosts with most free memory, `free_…` sums active hosts."""

    algorithm: str
    policy_hash: str
    all_fit: bool
    lost: list[ShownOutcome]
    vms: list[ShownOutcome]
    hosts: int
    free_vcpus: int
    free_memory_mib: int
    left: list[ShownRoom]
