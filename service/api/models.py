"""Request bodies. Unknown fields are refused; numbers are numbers and text is text."""

from __future__ import annotations

import re
import uuid
from ipaddress import IPv4Address, IPv4Network
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MIB = 1 << 20
GIB = 1 << 30

HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
BRIDGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
SSH_KEY = re.compile(
    r"(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-[a-z0-9@.-]+) [A-Za-z0-9+/=]{32,8192}( [ -~]{0,255})?"
)


def _not_an_id(text: str) -> str:
    """A name that reads as a UUID could be taken for another object's id."""
    try:
        uuid.UUID(text)
    except ValueError:
        return text
    raise ValueError("a name must not be a UUID")


def _hostname(text: str) -> str:
    if not HOSTNAME.fullmatch(text):
        raise ValueError("1 to 63 of a-z, 0-9 and '-', not at either end")
    return _not_an_id(text)


def _label(text: str) -> str:
    if not LABEL.fullmatch(text):
        raise ValueError("1 to 63 of letters, digits, '.', '_' and '-', starting with a letter or digit")
    return _not_an_id(text)


def _user(text: str) -> str:
    if not USER.fullmatch(text) or text == "root":
        raise ValueError("a user name: 1 to 32 of a-z, 0-9, '_' and '-', not starting with a digit, and not root")
    return text


def _ssh_key(text: str) -> str:
    if not SSH_KEY.fullmatch(text):
        raise ValueError("one line of an OpenSSH public key, as in id_ed25519.pub")
    return text


def _bridge(text: str) -> str:
    if not BRIDGE.fullmatch(text):
        raise ValueError("a bridge's name: 1 to 15 of letters, digits, '.', '_' and '-'")
    return text


Hostname = Annotated[str, AfterValidator(_hostname)]
Label = Annotated[str, AfterValidator(_label)]
UserName = Annotated[str, AfterValidator(_user)]
SshKey = Annotated[str, AfterValidator(_ssh_key)]
BridgeName = Annotated[str, AfterValidator(_bridge)]
Ref = Annotated[str, Field(min_length=1, max_length=63)]
Vcpus = Annotated[int, Field(ge=1, le=1024)]
MemoryMib = Annotated[int, Field(ge=64, le=64 << 20)]


class Body(BaseModel):
    """Base of all request bodies."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class AddHost(Body):
    """A host to take into the cloud. Its OSDs' share is reserved before any VM gets some."""

    name: Hostname
    address: Annotated[IPv4Address, Field(strict=False)]
    vcpus: Vcpus
    memory_mib: MemoryMib
    reserved_vcpus: Annotated[int, Field(ge=0)] = 0
    reserved_memory_mib: Annotated[int, Field(ge=0)] = 0
    ceph_user: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$")] | None = None

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        if self.reserved_vcpus >= self.vcpus or self.reserved_memory_mib >= self.memory_mib:
            raise ValueError("the reservation takes the whole host")
        return self


class CreateFlavor(Body):
    """A size of VM. The maxima default to the start values."""

    name: Label
    vcpus: Vcpus
    memory_mib: MemoryMib
    disk_gib: Annotated[int, Field(ge=1, le=65536)]
    max_vcpus: Vcpus | None = None
    max_memory_mib: MemoryMib | None = None

    @model_validator(mode="after")
    def _ceiling_is_above(self) -> Self:
        if (self.max_vcpus or self.vcpus) < self.vcpus or (self.max_memory_mib or self.memory_mib) < self.memory_mib:
            raise ValueError("a maximum is not below what the VM starts with")
        return self


class CreateNetwork(Body):
    """A guest network on a bridge that every host has."""

    name: Label
    bridge: BridgeName
    cidr: Annotated[IPv4Network, Field(strict=False)]
    gateway: Annotated[IPv4Address, Field(strict=False)] | None = None
    first_address: Annotated[IPv4Address, Field(strict=False)]
    last_address: Annotated[IPv4Address, Field(strict=False)]
    dns: list[Annotated[IPv4Address, Field(strict=False)]] = Field(default_factory=list, max_length=3)

    @model_validator(mode="after")
    def _addresses_are_inside(self) -> Self:
        for address in (self.first_address, self.last_address, self.gateway):
            if address is not None and address not in self.cidr:
                raise ValueError(f"{address} is not in {self.cidr}")
        if self.cidr.prefixlen < 31 and {self.first_address, self.last_address} & {
            self.cidr.network_address,
            self.cidr.broadcast_address,
        }:
            raise ValueError(f"the first and the last address of {self.cidr} are not for guests")
        if self.first_address > self.last_address:
            raise ValueError("first_address comes after last_address")
        if self.gateway and self.first_address <= self.gateway <= self.last_address:
            raise ValueError("the gateway lies among the addresses to give out")
        return self


class CreateImage(Body):
    """An image from a file on the server: for admins, under the folder that the settings name."""

    name: Label
    format: Literal["raw", "qcow2"]
    path: Annotated[str, Field(min_length=1, max_length=1024)]
    default_user: UserName = "nacre"
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _path_stays_inside(self) -> Self:
        path = PurePosixPath(self.path)
        if path.is_absolute() or ".." in path.parts or "\0" in self.path:
            raise ValueError("path is relative to the server's image folder and has no '..'")
        return self


class UploadImage(Body):
    """The query of an upload: the body is the image's bytes."""

    name: Label
    format: Literal["raw", "qcow2"]
    default_user: UserName = "nacre"
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class CreateVm(Body):
    """A VM to make and start. `network` may be left out when there is only one."""

    name: Hostname
    image: Ref
    flavor: Ref
    network: Ref | None = None
    user: UserName | None = None
    ssh_keys: list[SshKey] = Field(default_factory=list, max_length=32)


class MigrateVm(Body):
    """Where to; without `host` the placement chooses."""

    host: Ref | None = None
