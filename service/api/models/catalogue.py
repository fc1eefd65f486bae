"""Models of flavors and networks."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from service.edge.models import Address, Body, Instant, Label, MemoryMib, Named, Subnet, Vcpus

BRIDGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")


def _bridge(text: str) -> str:
    if not BRIDGE.fullmatch(text):
        raise ValueError("a bridge's name: 1 to 15 of letters, digits, '.', '_' and '-'")
    return text


BridgeName = Annotated[
    str, AfterValidator(_bridge), WithJsonSchema({"type": "string", "pattern": f"^{BRIDGE.pattern}$"})
]


class CreateFlavor(Body):
    """Flavor to create; the maxima default to the start values."""

    name: Label
    vcpus: Vcpus
    memory_mib: MemoryMib
    disk_gib: Annotated[int, Field(ge=1, le=65536)]
    max_vcpus: Vcpus | None = None
    max_memory_mib: MemoryMib | None = None

    @model_validator(mode="after")
    def _ceiling_is_above(self) -> Self:
        if (self.max_vcpus or self.vcpus) < self.vcpus or (self.max_memory_mib or self.memory_mib) < self.memory_mib:
            raise ValueError("a maximum must not be below the start value")
        return self


class CreateNetwork(Body):
    """Guest network to create, on a bridge that every host has."""

    name: Label
    bridge: BridgeName
    cidr: Subnet
    gateway: Address | None = None
    first_address: Address
    last_address: Address
    dns: list[Address] = Field(default_factory=list, max_length=3)

    @model_validator(mode="after")
    def _addresses_are_inside(self) -> Self:
        for address in (self.first_address, self.last_address, self.gateway):
            if address is not None and address not in self.cidr:
                raise ValueError(f"{address} is not in {self.cidr}")
        if self.cidr.prefixlen < 31 and {self.first_address, self.last_address} & {
            self.cidr.network_address,
            self.cidr.broadcast_address,
        }:
            raise ValueError(f"the first and the last address of {self.cidr} cannot be assigned to guests")
        if self.first_address > self.last_address:
            raise ValueError("first_address is greater than last_address")
        if self.gateway and self.first_address <= self.gateway <= self.last_address:
            raise ValueError("the gateway is between first_address and last_address")
        return self


class ShownFlavor(Named):
    """Flavor: a size of VMs."""

    vcpus: int
    max_vcpus: int
    memory_mib: int
    max_memory_mib: int
    disk_bytes: int
    created_at: Instant


class ShownNetwork(Named):
    """Guest network."""

    bridge: str
    cidr: str
    gateway: str | None
    first_address: str
    last_address: str
    dns: list[str]
    created_at: Instant
