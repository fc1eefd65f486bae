"""Ends what a thread waits for in libvirt.open(), which has no deadline: the socket to a host that says nothing."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress

# Where `tcpi_last_data_recv` lies in Linux's struct tcp_info: after 8 bytes and 11 numbers; milliseconds.
LAST_HEARD_AT = 8 + 4 * 11
TCP_INFO_BYTES = LAST_HEARD_AT + 4


def hang_up(address: str, port: int, *, silent_for_s: float) -> int:
    """Shut down this process's connections there that have heard nothing for so long; returns how many.

    One that lives hears of libvirt's keepalive every few seconds, so only such are met that are lost.
    """
    ended = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError), socket.socket(fileno=os.dup(int(name))) as one:  # OSError: no socket, or gone by now
            if one.family in (socket.AF_INET, socket.AF_INET6) and one.getpeername()[:2] == (address, port):
                told = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
                if struct.unpack_from("=I", told, LAST_HEARD_AT)[0] >= silent_for_s * 1000:
                    one.shutdown(socket.SHUT_RDWR)
                    ended += 1
    return ended
