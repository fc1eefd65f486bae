"""What a migration needs of each of its two hosts."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from service.hypervisor.contract import HostEndpoint, MigrationProgress
from service.hypervisor.events import Watch
from service.hypervisor.migration.verdict import Presence


@dataclass(frozen=True, slots=True)
class Finished:
    """The hypervisor's numbers of a finished migration, as its target remembers them."""

    total_ms: int
    downtime_ms: int | None
    transferred_bytes: int | None


class MigrationSide(Protocol):
    """One host's half. Every call may raise HostUnreachableError."""

    @property
    def endpoint(self) -> HostEndpoint:
        """Which host this is."""

    def watch(self, vm_id: str) -> AbstractContextManager[Watch]:
        """Signals of the domain on this side."""

    def presence(self, vm_id: str) -> Presence:
        """Whether the domain is here, acts, or is on its way."""

    def live_xml(self, vm_id: str) -> str:
        """The running domain as the hypervisor would hand it to a target."""

    def send(self, vm_id: str, target: HostEndpoint, xml: str) -> None:
        """The migration itself; returns or raises when the hypervisor says that it has ended. May take hours."""

    def progress(self, vm_id: str) -> MigrationProgress | None:
        """How far the outgoing migration is; None when none is under way."""

    def resume(self, vm_id: str) -> None:
        """Let a paused domain go on. Raises DomainRefusedError, DomainNotFoundError."""

    def destroy(self, vm_id: str) -> None:
        """End the domain here. Raises DomainRefusedError, DomainNotFoundError."""

    def finished(self, vm_id: str) -> Finished | None:
        """The numbers of the migration that brought the domain here; None when nobody remembers."""
