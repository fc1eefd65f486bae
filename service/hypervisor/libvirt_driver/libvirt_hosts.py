"""Hosts of the cloud by libvirt: one lazy connection each, one event hub for all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from pathlib import Path

from service.hypervisor.contract import DomainEvent, HostEndpoint, Hypervisor
from service.hypervisor.events import EventHub
from service.hypervisor.libvirt_driver.libvirt_host import LibvirtHost
from service.hypervisor.libvirt_link.bounded import Crew
from service.hypervisor.libvirt_link.connection import HostConnection
from service.hypervisor.libvirt_link.pki import Pki
from service.hypervisor.libvirt_link.reachability import TIMEOUT_S, Reachability
from service.hypervisor.libvirt_link.tls_check import unreachable
from service.hypervisor.migration.libvirt_side import LibvirtSide
from service.hypervisor.migration.migration_settings import MigrationSettings

SPARED_S = 60.0


class LibvirtHypervisors:
    """Hypervisors over `qemu+tls`.

    `pki_path`: folder with cacert.pem, clientcert.pem, clientkey.pem. Nothing connects before the first call, so an
    object created before a fork may be used after it, in one process only.
    """

    def __init__(
        self, pki_path: Path, *, migration: MigrationSettings | None = None, probe_timeout_s: float = TIMEOUT_S
    ) -> None:
        self._pki = Pki(pki_path)
        self._crew, self._prober = Crew(), Reachability(pki_path, timeout_s=probe_timeout_s)
        self._migration = migration or MigrationSettings()
        self._hub = EventHub()
        self._lock = threading.Lock()
        self._connections: dict[HostEndpoint, HostConnection] = {}

    def on(self, endpoint: HostEndpoint) -> Hypervisor:
        """Return the hypervisor of one host; only its first call connects."""
        return LibvirtHost(endpoint, self._connection(endpoint), self._hub, side=self._side)

    def listen(self, handler: Callable[[DomainEvent], None]) -> None:
        """Call `handler` for every domain event of connected hosts, in a thread.

        A host whose connection was lost reports no events until the next call reconnects.
        """
        self._hub.listen(handler)

    def reach(self, endpoints: Collection[HostEndpoint]) -> dict[HostEndpoint, str | None]:
        """See Hypervisors.reach; the prober's process does it."""
        troubles = self._prober.ask(endpoints)
        return {
            endpoint: None if trouble is None else unreachable(endpoint, trouble)
            for endpoint, trouble in troubles.items()
        }

    def keep(self, endpoints: Collection[HostEndpoint]) -> None:
        """Close the connections to all other hosts: they have left the cloud."""
        wanted = frozenset(endpoints)
        with self._lock:
            # Keep one that is in use: a host that is being checked before it is added.
            outdated = [
                endpoint
                for endpoint, connection in self._connections.items()
                if endpoint not in wanted and connection.idle_s > SPARED_S
            ]
            dropped = [self._connections.pop(endpoint) for endpoint in outdated]
        for connection in dropped:
            connection.close()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            connections = tuple(self._connections.values())
        for connection in connections:
            connection.close()
        self._prober.close()
        self._hub.close()

    def _side(self, endpoint: HostEndpoint) -> LibvirtSide:
        return LibvirtSide(endpoint, self._connection(endpoint), self._hub, self._migration)

    def _connection(self, endpoint: HostEndpoint) -> HostConnection:
        with self._lock:
            if endpoint not in self._connections:
                self._connections[endpoint] = HostConnection(
                    endpoint, self._pki, self._hub, crew=self._crew, prober=self._prober
                )
            return self._connections[endpoint]
