"""libvirt's domain events as the contract's values."""

from __future__ import annotations

import libvirt

from service.hypervisor.events import DEVICES, POWERED_OFF, EventHub

# QEMU was ended by a signal; libvirt's event of the end that follows does not show that.
_BY_HOST = (libvirt.VIR_DOMAIN_EVENT_SHUTDOWN, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_HOST)


def subscribe(connection: libvirt.virConnect, host: str, hub: EventHub) -> None:
    """Feed a connection's lifecycle and reboot events into the hub."""
    ended_by_host: set[str] = set()

    def on_lifecycle(_connection: object, domain: libvirt.virDomain, event: int, detail: int, _opaque: object) -> None:
        vm_id, kind = domain.UUIDString(), lifecycle_kind(event, detail)
        if (event, detail) == _BY_HOST:
            ended_by_host.add(vm_id)
        elif event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
            if vm_id in ended_by_host and detail == libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN:
                kind = "crashed"  # neither guest nor call requested this end: the host is shutting down, for example
            ended_by_host.discard(vm_id)
        if kind is not None:
            hub.publish(host, vm_id, kind)

    def on_reboot(_connection: object, domain: libvirt.virDomain, _opaque: object) -> None:
        hub.publish(host, domain.UUIDString(), "rebooted")

    def on_device(_connection: object, domain: libvirt.virDomain, _device: str, _opaque: object) -> None:
        hub.publish(host, domain.UUIDString(), DEVICES)

    for event in (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED):
        connection.domainEventRegisterAny(None, event, on_device, None)
    connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, on_lifecycle, None)
    connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, on_reboot, None)


def lifecycle_kind(event: int, detail: int) -> str | None:
    """Return the contract's kind of a lifecycle event; None for one without news."""
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
