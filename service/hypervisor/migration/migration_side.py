"""Contract of one side of a migration."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from service.hypervisor.contract import HostEndpoint, MigrationProgress
from service.hypervisor.events import Watch
from service.hypervisor.migration.verdict import Presence


@dataclass(frozen=True, slots=True)
class Finished:
    """Statistics of a finished migration, from its target."""

    total_ms: int
    downtime_ms: int | None
    transferred_bytes: int | None


class MigrationSide(Protocol):
    """One host's side. Every call may raise HostUnreachableError."""

    @property
    def endpoint(self) -> HostEndpoint:
        """Endpoint of this host."""

    def watch(self, vm_id: str) -> AbstractContextManager[Watch]:
        """Subscribe to the domain on this side."""

    def presence(self, vm_id: str) -> Presence:
        """Return the domain's presence on this host."""

    def live_xml(self, vm_id: str) -> str:
        """Return the running domain's migratable XML."""

    def send(self, vm_id: str, target: HostEndpoint, xml: str) -> None:
        """Run the migration until the hypervisor reports its end. May take hours."""

    def progress(self, vm_id: str) -> MigrationProgress | None:
        """Return the progress of the outgoing migration; None when there is none."""

    def resume(self, vm_id: str) -> None:
        """Resume a paused domain. Raises DomainRefusedError, DomainNotFoundError."""

    def destroy(self, vm_id: str) -> None:
        """End the domain on this host. Raises DomainRefusedError, DomainNotFoundError."""

    def finished(self, vm_id: str) -> Finished | None:
        """Return the statistics of the migration to this host; None if there are none."""
