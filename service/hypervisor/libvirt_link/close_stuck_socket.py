"""Shutdown of the socket on which libvirt.open() hangs: that call has no deadline."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress

# Offset of `tcpi_last_data_recv` in Linux's struct tcp_info: after 8 bytes and 11 numbers; milliseconds.
LAST_HEARD_AT = 8 + 4 * 11
TCP_INFO_BYTES = LAST_HEARD_AT + 4


def shut_down_stuck(address: str, port: int, *, silent_for_s: float) -> int:
    """Shut down this process's connections there that are stuck; return their number.

    A working found receives libvirt's keepalive every few seconds, so only lost ones match.
    """
    ended = 0
    for name in os.listdir("/proc/self/fd"):
        with (
            suppress(OSError),
            socket.socket(fileno=os.dup(int(name))) as found,
        ):  # no socket, or closed
            if found.family in (socket.AF_INET, socket.AF_INET6) and found.getpeername()[:2] == (address, port):
                tcp_info = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
                if struct.unpack_from("=I", tcp_info, LAST_HEARD_AT)[0] >= silent_for_s * 1000:
                    found.shutdown(socket.SHUT_RDWR)
                    ended += 1
    return ended
