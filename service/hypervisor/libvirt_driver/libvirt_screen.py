"""VNC, screenshots and the serial console by libvirt."""

from __future__ import annotations

from datetime import datetime

import libvirt

from service.hypervisor.contract import Console
from service.hypervisor.libvirt_driver.libvirt_console import LibvirtConsole
from service.hypervisor.libvirt_driver.libvirt_part import LibvirtPart, live_tree, run_qmp
from service.hypervisor.picture import png_of_ppm
from service.hypervisor.values import Display
from service.hypervisor.vnc_password import check_password

MOST_SCREEN_BYTES = 128 * 1024 * 1024


class LibvirtScreen(LibvirtPart):
    """Screen and consoles of running domains.

    The password is set in QEMU directly: in the XML libvirtd would store it in a file, and send it along with a
    migration.
    """

    def set_vnc_password(self, vm_id: str, password: str | None, *, expires_at: datetime | None = None) -> None:
        check_password(password)
        secret = {"protocol": "vnc", "password": password or "", "connected": "keep"}
        expiry = "never" if expires_at is None else str(int(expires_at.timestamp()))

        def change(domain: libvirt.virDomain) -> None:
            run_qmp(domain, "expire_password", {"protocol": "vnc", "time": "now"})  # locked until both are set
            run_qmp(domain, "set_password", secret)
            if password is not None:
                run_qmp(domain, "expire_password", {"protocol": "vnc", "time": expiry})

        self._with_domain(vm_id, change)

    def display(self, vm_id: str) -> Display | None:
        def find(domain: libvirt.virDomain) -> Display | None:
            graphics = live_tree(domain).find("devices/graphics[@type='vnc']")
            port = None if graphics is None else graphics.get("port")
            if graphics is None or port is None or not port.isdecimal():
                return None
            return Display(graphics.get("listen") or self._endpoint.address, int(port))

        return self._with_domain(vm_id, find)

    def screenshot(self, vm_id: str) -> bytes:
        return png_of_ppm(self._with_domain(vm_id, _screen))

    def open_console(self, vm_id: str) -> Console:
        return LibvirtConsole(self._connection, vm_id)


def _screen(domain: libvirt.virDomain) -> bytes:
    """Return the first screen, in QEMU's format."""
    stream = domain.connect().newStream(0)
    picture = bytearray()
    try:
        domain.screenshot(stream, 0, 0)
        while len(picture) < MOST_SCREEN_BYTES and (piece := stream.recv(256 * 1024)):
            picture += piece
        stream.finish()
    except BaseException:
        stream.abort()
        raise
    return bytes(picture)
