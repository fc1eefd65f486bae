"""libvirt's domain events in the contract's words."""

from __future__ import annotations

import libvirt

from service.hypervisor.events import POWERED_OFF, EventHub


def subscribe(connection: libvirt.virConnect, host: str, hub: EventHub) -> None:
    """Feed a connection's lifecycle and reboot events into the hub."""

    def on_lifecycle(_connection: object, domain: libvirt.virDomain, event: int, detail: int, _opaque: object) -> None:
        kind = lifecycle_kind(event, detail)
        if kind is not None:
            hub.publish(host, domain.UUIDString(), kind)

    def on_reboot(_connection: object, domain: libvirt.virDomain, _opaque: object) -> None:
        hub.publish(host, domain.UUIDString(), "rebooted")

    connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, on_lifecycle, None)
    connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, on_reboot, None)


def lifecycle_kind(event: int, detail: int) -> str | None:
    """libvirt's lifecycle event in the contract's words; None for one that says nothing new."""
    special = {
        (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR): "io_error",
        (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED): "migrated",
        (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED): "crashed",
        (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED): "crashed",
        (libvirt.VIR_DOMAIN_EVENT_SHUTDOWN, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST): POWERED_OFF,
    }
    plain = {
        libvirt.VIR_DOMAIN_EVENT_STARTED: "started",
        libvirt.VIR_DOMAIN_EVENT_RESUMED: "resumed",
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED: "suspended",
        libvirt.VIR_DOMAIN_EVENT_STOPPED: "stopped",
        libvirt.VIR_DOMAIN_EVENT_CRASHED: "crashed",
    }
    return special.get((event, detail)) or plain.get(event)
