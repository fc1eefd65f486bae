from __future__ import annotations

import threading

from service.hypervisor.contract import DomainEvent
from service.hypervisor.events import LOST, POWERED_OFF, EventHub


def test_a_watch_hears_of_its_own_domain_on_its_own_host_only() -> None:
    hub = EventHub()
    with hub.watch("host1", "a") as watch:
        hub.publish("host1", "b", "stopped")
        hub.publish("host2", "a", "stopped")
        hub.publish("host1", "a", "started")
        signal = watch.next(1)
        assert signal is not None
        assert signal.kind == "started"
        assert watch.next(0) is None


def test_a_lost_connection_wakes_everyone_who_watches_that_host() -> None:
    hub = EventHub()
    with hub.watch("host1", "a") as first, hub.watch("host1", "b") as second, hub.watch("host2", "a") as other:
        hub.publish_lost("host1")
        assert [(signal.kind if signal else None) for signal in (first.next(1), second.next(1), other.next(0))] == [
            LOST,
            LOST,
            None,
        ]


def test_a_watch_that_ended_leaves_the_others() -> None:
    hub = EventHub()
    with hub.watch("host1", "a") as staying:
        with hub.watch("host1", "a"):
            pass
        hub.publish("host1", "a", "stopped")
        assert staying.next(1) is not None


def test_handlers_hear_public_events_in_order_and_a_faulty_one_silences_nobody() -> None:
    hub, heard, all_heard = EventHub(), [], threading.Event()

    def faulty(event: DomainEvent) -> None:
        raise ValueError(event.kind)

    def good(event: DomainEvent) -> None:
        heard.append(event.kind)
        if event.kind == "stopped":
            all_heard.set()

    hub.listen(faulty)
    hub.listen(good)
    for kind in ("started", POWERED_OFF, "io_error", "stopped"):
        hub.publish("host1", "a", kind)
    assert all_heard.wait(60)
    hub.close()
    assert heard == ["started", "io_error", "stopped"]
