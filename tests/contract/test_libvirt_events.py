"""What libvirt's events mean in the contract's words, without a daemon."""

from __future__ import annotations

import libvirt
import pytest

from service.hypervisor.events import EventHub
from service.hypervisor.libvirt_link.libvirt_events import subscribe

STOPPED, SHUTDOWN = libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN
BY_HOST = (SHUTDOWN, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_HOST)
BY_GUEST = (SHUTDOWN, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST)
OFF = (STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)
DESTROYED = (STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED)


class Connection:
    """Keeps the callbacks, and calls them."""

    def __init__(self) -> None:
        self.callbacks = {}

    def domainEventRegisterAny(self, _domain, event_id, callback, _opaque) -> None:  # noqa: N802 - libvirt's name
        self.callbacks[event_id] = callback

    def tell(self, event: int, detail: int) -> None:
        self.callbacks[libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE](self, Domain(), event, detail, None)


class Domain:
    """A domain's handle."""

    def UUIDString(self) -> str:  # noqa: N802 - libvirt's name
        return "a"


@pytest.mark.parametrize(
    ("told", "heard"),
    [
        ([BY_GUEST, OFF], ["powered_off", "stopped"]),
        ([BY_HOST, OFF], ["crashed"]),
        ([BY_HOST, DESTROYED], ["stopped"]),
        ([BY_HOST, DESTROYED, OFF], ["stopped", "stopped"]),
        ([OFF], ["stopped"]),
    ],
    ids=["by the guest", "by a signal", "by a call", "each end for itself", "nobody said why"],
)
def test_an_end_that_neither_the_guest_nor_a_call_wanted_is_a_crash(told, heard) -> None:
    connection, hub = Connection(), EventHub()
    subscribe(connection, "host1", hub)
    with hub.watch("host1", "a") as watch:
        for event in told:
            connection.tell(*event)
        assert [signal.kind for signal in iter(lambda: watch.next(0), None)] == heard
