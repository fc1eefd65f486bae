"""Who gets past VNC's password on a real host."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

import libvirt
import pytest

from service.hypervisor.contract import Display, Hypervisor
from service.hypervisor.spec import DomainSpec
from tests.contract.hypervisor_worlds import LibvirtWorld, at
from tests.contract.rfb import lets_in

PASSWORD = "8letters"
PATIENCE_S = 60
pytestmark = pytest.mark.parametrize("world", [LibvirtWorld], indirect=True, ids=["LibvirtWorld"])


def screen(hypervisor: Hypervisor, spec: DomainSpec) -> Display:
    display = hypervisor.display(spec.vm_id)
    assert display is not None
    return display


def test_a_screen_is_locked_until_a_password_is_set(here: Hypervisor, running: DomainSpec) -> None:
    display = screen(here, running)
    assert [lets_in(display, word) for word in ("", PASSWORD)] == [False, False]
    here.set_vnc_password(running.vm_id, PASSWORD)
    assert [lets_in(display, word) for word in ("", PASSWORD, "another")] == [False, True, False]
    here.set_vnc_password(running.vm_id, None)
    assert [lets_in(display, word) for word in ("", PASSWORD)] == [False, False]


def test_a_password_ends_by_itself(here: Hypervisor, running: DomainSpec) -> None:
    display = screen(here, running)
    here.set_vnc_password(running.vm_id, PASSWORD, expires_at=datetime.now(UTC) + timedelta(seconds=10))
    assert lets_in(display, PASSWORD)
    deadline = time.monotonic() + PATIENCE_S
    while lets_in(display, PASSWORD):
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_a_screen_is_locked_again_after_a_move(world: LibvirtWorld, here: Hypervisor, running: DomainSpec) -> None:
    here.set_vnc_password(running.vm_id, PASSWORD)
    here.migrate(world.there, at(running, world.there), progress=lambda _progress: None)
    display = screen(world.hypervisors.on(world.there), running)
    assert [lets_in(display, word) for word in ("", PASSWORD)] == [False, False]


def test_no_xml_tells_the_password(world: LibvirtWorld, here: Hypervisor, running: DomainSpec) -> None:
    here.set_vnc_password(running.vm_id, PASSWORD)
    pki = os.environ["NACRE_TEST_LIBVIRT_PKI"]
    connection = libvirt.open(f"qemu+tls://{world.here.address}/system?pkipath={pki}&no_tty=1")
    try:
        xml = connection.lookupByUUIDString(running.vm_id).XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)
    finally:
        connection.close()
    assert "<graphics type='vnc'" in xml
    assert PASSWORD not in xml
