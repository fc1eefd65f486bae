"""What every hypervisor promises about looking at a domain, on every implementation that is on offer."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from service.hypervisor.contract import Console, Hypervisor
from service.hypervisor.errors import (
    ConsoleClosedError,
    DomainNotFoundError,
    HostUnreachableError,
    SpecInvalidError,
)
from service.hypervisor.spec import DiskSpec, DomainSpec
from storage.refs import File
from tests.contract.hypervisor_worlds import World, at

UNKNOWN = "ffffffff-0000-4000-8000-000000000000"
PNG = b"\x89PNG\r\n\x1a\n"


def ends(console: Console, *, within_s: float = 60) -> bool:
    deadline = time.monotonic() + within_s
    try:
        while time.monotonic() < deadline:
            console.read(1)
    except ConsoleClosedError:
        return True
    return False


def test_a_screenshot_is_a_png(here: Hypervisor, running: DomainSpec) -> None:
    assert here.screenshot(running.vm_id).startswith(PNG)


def test_a_display_listens_on_its_host(world: World, here: Hypervisor, running: DomainSpec) -> None:
    display = here.display(running.vm_id)
    assert display is not None
    assert display.address == world.here.address
    assert display.port >= 5900


@pytest.mark.parametrize("password", ["", "ninechars", "tab\t", "naïve"])
def test_what_vnc_cannot_take_whole_is_no_password(here: Hypervisor, running: DomainSpec, password: str) -> None:
    with pytest.raises(SpecInvalidError, match="VNC password"):
        here.set_vnc_password(running.vm_id, password)


def test_a_password_is_set_and_taken_back(here: Hypervisor, running: DomainSpec) -> None:
    here.set_vnc_password(running.vm_id, "8letters", expires_at=datetime.now(UTC) + timedelta(minutes=1))
    here.set_vnc_password(running.vm_id, "8letters")
    here.set_vnc_password(running.vm_id, None)
    assert here.display(running.vm_id) is not None


def test_a_later_opener_takes_the_console_over(here: Hypervisor, running: DomainSpec) -> None:
    first = here.open_console(running.vm_id)
    second = here.open_console(running.vm_id)
    assert ends(first)
    second.write(b"still open\r")
    assert not ends(second, within_s=1)
    second.close()


def test_a_console_ends_with_its_domain(here: Hypervisor, running: DomainSpec) -> None:
    console = here.open_console(running.vm_id)
    here.force_off(running.vm_id)
    assert ends(console)
    with pytest.raises(ConsoleClosedError):
        console.write(b"x")
    console.close()


def test_a_console_that_was_closed_is_closed(here: Hypervisor, running: DomainSpec) -> None:
    console = here.open_console(running.vm_id)
    for _ in range(2):
        console.close()
    assert ends(console)


def test_a_console_does_not_move_with_its_domain(world: World, here: Hypervisor, running: DomainSpec) -> None:
    console = here.open_console(running.vm_id)
    here.migrate(world.there, at(running, world.there), progress=lambda _progress: None)
    assert ends(console)
    console.close()


def test_every_domain_is_in_the_statistics(here: Hypervisor, running: DomainSpec) -> None:
    found = [domain for domain in here.statistics() if domain.vm_id == running.vm_id]
    assert [domain.state for domain in found] == ["running"]
    assert len(found[0].vcpu_times_s) == 1
    assert found[0].memory is not None
    assert found[0].memory.maximum_bytes == 256 << 20


def test_a_domain_may_start_paused_and_go_on_later(world: World, here: Hypervisor) -> None:
    spec = world.spec()
    assert here.start(spec, paused=True).state == "paused"
    for change, state in ((here.resume, "running"), (here.suspend, "paused")):
        for _ in range(2):
            change(spec.vm_id)
        seen = here.domain(spec.vm_id)
        assert seen is not None
        assert seen.state == state


def test_looking_at_what_is_not_there_is_told(here: Hypervisor) -> None:
    calls: tuple[Callable[[str], object], ...] = (
        here.screenshot,
        here.display,
        here.open_console,
        here.suspend,
        here.resume,
        lambda vm_id: here.set_vnc_password(vm_id, "secret"),
    )
    for call in calls:
        with pytest.raises(DomainNotFoundError):
            call(UNKNOWN)


def test_a_silent_host_shows_and_changes_nothing(world: World) -> None:
    silent, spec = world.hypervisors.on(world.silent), at(world.spec(), world.silent)
    disk = DiskSpec("vdb", File("/x"))
    calls: tuple[Callable[[], object], ...] = (
        silent.statistics,
        lambda: silent.screenshot(spec.vm_id),
        lambda: silent.display(spec.vm_id),
        lambda: silent.open_console(spec.vm_id),
        lambda: silent.set_vnc_password(spec.vm_id, None),
        lambda: silent.attach_disk(spec.vm_id, disk),
        lambda: silent.detach_disk(spec.vm_id, "vdb"),
        lambda: silent.set_vcpus(spec.vm_id, 1),
        lambda: silent.set_title(spec.vm_id, "x"),
    )
    for call in calls:
        with pytest.raises(HostUnreachableError):
            call()
