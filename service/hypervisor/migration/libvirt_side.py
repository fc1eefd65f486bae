"""One side of a migration, on libvirt."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import libvirt

from service.hypervisor.contract import HostEndpoint, MigrationProgress
from service.hypervisor.errors import DomainNotFoundError
from service.hypervisor.events import EventHub, Watch
from service.hypervisor.libvirt_link import domain_state
from service.hypervisor.libvirt_link.connection import HostConnection
from service.hypervisor.migration.migration_flags import flags, parameters
from service.hypervisor.migration.migration_settings import MigrationSettings
from service.hypervisor.migration.migration_side import Finished
from service.hypervisor.migration.verdict import Presence

Result = TypeVar("Result")
STOP_TIMEOUT_S = 60.0
_NO_STATISTICS = (
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED,  # "available only on the source host"
    libvirt.VIR_ERR_OPERATION_INVALID,  # the domain is not running any more
    libvirt.VIR_ERR_NO_DOMAIN,
)


class LibvirtSide:
    """One host's side. Every call may raise HostUnreachableError."""

    def __init__(
        self, endpoint: HostEndpoint, connection: HostConnection, hub: EventHub, settings: MigrationSettings
    ) -> None:
        self.endpoint = endpoint
        self._settings = settings
        self._connection = connection
        self._hub = hub

    def watch(self, vm_id: str) -> AbstractContextManager[Watch]:
        """Subscribe to the domain on this side."""
        return self._hub.watch(self.endpoint.name, vm_id)

    def presence(self, vm_id: str) -> Presence:
        """Return the domain's presence on this host."""

        def look(connection: libvirt.virConnect) -> Presence:
            domain = domain_state.find(connection, vm_id)
            state = None if domain is None else domain_state.state_name(domain)
            if domain is None or state is None:
                return Presence.GONE
            return _job(domain) or (Presence.PAUSED if state == "paused" else Presence.RUNNING)

        return self._connection.call(look)

    def live_xml(self, vm_id: str) -> str:
        """Return the running domain's migratable XML."""
        return self._with_domain(vm_id, lambda domain: str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE)))

    def send(self, vm_id: str, target: HostEndpoint, xml: str) -> None:
        """Run libvirt's migration until libvirt reports its end. May take hours."""

        def move(connection: libvirt.virConnect) -> None:
            domain = domain_state.find(connection, vm_id)
            if domain is None:
                raise DomainNotFoundError(f"host {self.endpoint.name} has no domain {vm_id}")
            domain.migrateToURI3(
                f"qemu+tls://{target.address}/system",
                parameters(self._settings, target.address, xml),
                flags(self._settings),
            )

        self._connection.alone(move)

    def progress(self, vm_id: str) -> MigrationProgress | None:
        """Return the progress of the outgoing migration; None when there is none."""

        def read(connection: libvirt.virConnect) -> MigrationProgress | None:
            domain = domain_state.find(connection, vm_id)
            if domain is None:
                return None
            try:
                stats = domain.jobStats()
            except libvirt.libvirtError as error:
                if error.get_error_code() in _NO_STATISTICS:
                    return None
                raise
            return _progress(stats, switching=domain_state.state_name(domain) == "paused")

        return self._connection.call(read)

    def resume(self, vm_id: str) -> None:
        """Resume a paused domain. Raises DomainRefusedError."""
        self._with_domain(vm_id, lambda domain: domain.resume())

    def destroy(self, vm_id: str) -> None:
        """End the domain on this host. Raises DomainRefusedError."""
        self._with_domain(vm_id, lambda domain: domain.destroyFlags(0))

    def cancel(self, vm_id: str) -> None:
        """Cancel an outgoing migration; does nothing when there is none."""
        if self.presence(vm_id) is Presence.LEAVING:
            self._with_domain(vm_id, _abort)

    def finished(self, vm_id: str) -> Finished | None:
        """Return the statistics of the migration to this host; None if libvirt has none."""

        def read(domain: libvirt.virDomain) -> Finished | None:
            try:
                stats = domain.jobStats(
                    libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED
                )
            except libvirt.libvirtError as error:
                if error.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID:
                    return None
                raise
            return _finished(stats)

        return self._with_domain(vm_id, read)

    def _with_domain(self, vm_id: str, action: Callable[[libvirt.virDomain], Result]) -> Result:
        def run(connection: libvirt.virConnect) -> Result:
            domain = domain_state.find(connection, vm_id)
            if domain is None:
                raise DomainNotFoundError(f"host {self.endpoint.name} has no domain {vm_id}")
            return action(domain)

        return self._connection.call(run, timeout_s=STOP_TIMEOUT_S)


def _job(domain: libvirt.virDomain) -> Presence | None:
    """Return LEAVING, ARRIVING, or None for neither.

    libvirt refuses the statistics of an incoming migration with an error, by which it is recognised.
    """
    try:
        stats = domain.jobStats()
    except libvirt.libvirtError as error:
        if error.get_error_code() in _NO_STATISTICS:
            return Presence.GONE if domain_state.state_name(domain) is None else Presence.ARRIVING
        raise
    moving = stats.get("type", libvirt.VIR_DOMAIN_JOB_NONE) != libvirt.VIR_DOMAIN_JOB_NONE
    out = stats.get(libvirt.VIR_DOMAIN_JOB_OPERATION) == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT
    return Presence.LEAVING if moving and out else None


def _abort(domain: libvirt.virDomain) -> None:
    try:
        domain.abortJob()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:  # it has ended meanwhile
            raise


def _progress(stats: dict[str, int], *, switching: bool) -> MigrationProgress | None:
    if stats.get("type", libvirt.VIR_DOMAIN_JOB_NONE) == libvirt.VIR_DOMAIN_JOB_NONE:
        return None
    return MigrationProgress(
        phase="switching" if switching else "copying",
        processed_bytes=stats.get(libvirt.VIR_DOMAIN_JOB_MEMORY_PROCESSED, 0),
        remaining_bytes=stats.get(libvirt.VIR_DOMAIN_JOB_MEMORY_REMAINING, 0),
        total_bytes=stats.get(libvirt.VIR_DOMAIN_JOB_MEMORY_TOTAL, 0),
    )


def _finished(stats: dict[str, int]) -> Finished | None:
    if libvirt.VIR_DOMAIN_JOB_TIME_ELAPSED not in stats:
        return None
    return Finished(
        total_ms=stats[libvirt.VIR_DOMAIN_JOB_TIME_ELAPSED],
        downtime_ms=stats.get(libvirt.VIR_DOMAIN_JOB_DOWNTIME),
        transferred_bytes=stats.get(libvirt.VIR_DOMAIN_JOB_MEMORY_PROCESSED),
    )
