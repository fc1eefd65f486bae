"""Decisions where VMs run: as they were, once more, and what if."""

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
    """Which decisions to list."""

    vm: Ref | None = None
    host: Ref | None = None


class AskPlacement(Query):
    """How much of a decision to show."""

    full: Flag = Field(default=False, description="Every host's verdict, as long as the facts of then are kept.")


class ReplayPlacement(Body):
    """What to decide with: an algorithm, weights of its scorers. Both left out: as it would be decided now."""

    algorithm: Algorithm | None = None
    weights: Weights | None = None


class SimulatedVms(Body):
    """VMs alike: of a flavor, or of a size."""

    name: Label | None = None
    count: Size = 1
    flavor: Ref | None = None
    vcpus: Vcpus | None = None
    memory_mib: MemoryMib | None = None

    @model_validator(mode="after")
    def _has_one_size(self) -> Self:
        sized = self.vcpus is not None and self.memory_mib is not None
        said = self.vcpus is not None or self.memory_mib is not None
        if (self.flavor is None) != sized or (self.flavor is not None and said):
            raise ValueError("say either a flavor, or vcpus and memory_mib")
        return self


class SimulatedHosts(Body):
    """Hosts like another one when it is empty, with a size of their own or its."""

    name: Hostname = "added"
    count: Annotated[int, Field(ge=1, le=1000)] = 1
    like: Ref
    vcpus: Vcpus | None = None
    memory_mib: MemoryMib | None = None


class SimulatePlacements(Body):
    """VMs to place on the hosts as they are, when some are lost (their VMs are placed first) and others are there.

    `fit` all: when one of the new VMs fits nowhere, none of them is placed.
    """

    vms: list[SimulatedVms] = Field(default_factory=list, max_length=100)
    hosts_lost: list[Ref] = Field(default_factory=list, max_length=100)
    hosts_added: list[SimulatedHosts] = Field(default_factory=list, max_length=100)
    fit: Literal["all", "most"] = "most"
    algorithm: Algorithm | None = None
    weights: Weights | None = None


class ShownDecision(Shown):
    """A decision: the best five hosts with every term, and how many each filter ruled out."""

    algorithm: str
    policy_hash: str | None
    fallback: str | None = Field(description="Why another algorithm than the one that was asked decided.")
    chosen: ShownVerdict | None
    verdicts: list[ShownVerdict]
    reasons: dict[str, int]


class ShownKeptPlacement(ShownDecision):
    """A decision that was kept. `request` is what the VM needed of a host; null of decisions that are too old."""

    id: Id
    vm_id: Id
    vm: str | None = Field(description="The VM's name; null when it is gone.")
    project_id: Id | None
    host_id: Id | None
    created_at: Instant
    request: dict[str, object] | None
    facts: ShownFactsVersion | None
    exact: bool | None = Field(
        description="Whether all hosts, worked out again, give what was kept; false after an upgrade changed a scorer."
    )


class ShownReplay(ShownDecision):
    """What would have been decided, and whether that is the same host."""

    same: bool


class ShownOutcome(Shown):
    """What would become of VMs alike, or of a lost host's: host name to how many."""

    name: str
    count: int
    placed: int
    hosts: dict[str, int]
    first: ShownDecision | None
    refused: ShownDecision | None = Field(description="The decision on the first VM that fits nowhere.")


class ShownRoom(Shown):
    """What would be left."""

    host: str
    vms: int
    free_vcpus: int
    free_memory_mib: int


class ShownSimulation(Shown):
    """What would be. `left` tells of the hosts with the most room, `free_…` of all that may take VMs."""

    algorithm: str
    policy_hash: str
    all_fit: bool
    lost: list[ShownOutcome]
    vms: list[ShownOutcome]
    hosts: int
    free_vcpus: int
    free_memory_mib: int
    left: list[ShownRoom]
