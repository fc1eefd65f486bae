"""Contract of the outside network: names, connections and this computer's addresses."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Protocol

import httpcore

from service.network.remote_url import Address


class Outside(Protocol):
    """Access to the outside network, replaced in tests."""

    def resolve(self, host: str) -> tuple[Address, ...]:
        """Return all addresses of a name in the order to try. Raises OSError for none."""

    def is_own(self, address: Address) -> bool:
        """Return True if this computer itself has the address."""

    def connect(self, address: Address, port: int, timeout_s: float) -> httpcore.NetworkStream:
        """Open a TCP connection to this address.

        Raises httpcore.ConnectError, httpcore.ConnectTimeout.
        """


class Internet:
    """The system's resolver and network."""

    def resolve(self, host: str) -> tuple[Address, ...]:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return tuple(dict.fromkeys(ip_address(entry[4][0]) for entry in found))

    def is_own(self, address: Address) -> bool:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((str(address), 0))
            except OSError:  # only an address of one of its interfaces can be bound to
                return False
            return True

    def connect(self, address: Address, port: int, timeout_s: float) -> httpcore.NetworkStream:
        return httpcore.SyncBackend().connect_tcp(str(address), port, timeout=timeout_s)


INTERNET = Internet()
