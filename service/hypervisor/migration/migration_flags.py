"""MigrationSettings as libvirt's flags and parameters."""

from __future__ import annotations

import libvirt

from service.hypervisor.migration.migration_settings import MigrationSettings


def flags(settings: MigrationSettings) -> int:
    """Return libvirt's VIR_MIGRATE_ flags; the target persists no definition."""
    wanted: int = (
        libvirt.VIR_MIGRATE_LIVE
        | libvirt.VIR_MIGRATE_PEER2PEER
        | libvirt.VIR_MIGRATE_AUTO_CONVERGE
        | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
    )
    if settings.landing == "paused":
        wanted |= libvirt.VIR_MIGRATE_PAUSED
    if settings.tls:
        wanted |= libvirt.VIR_MIGRATE_TLS
    if settings.channels > 1:
        wanted |= libvirt.VIR_MIGRATE_PARALLEL
    return wanted


def parameters(settings: MigrationSettings, address: str, xml: str) -> dict[str, object]:
    """Return libvirt's parameters.

    Without a bandwidth libvirt lifts QEMU's own limit; the target listens on its management address only.
    """
    wanted: dict[str, object] = {
        libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{address}",
        libvirt.VIR_MIGRATE_PARAM_LISTEN_ADDRESS: address,
        libvirt.VIR_MIGRATE_PARAM_DEST_XML: xml,
    }
    if settings.channels > 1:
        wanted[libvirt.VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS] = settings.channels
    return wanted
