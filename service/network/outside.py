"""The internet as a value to hand down: names, connections, and which addresses are this computer's own."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Protocol

import httpcore

from service.network.remote_url import Address


class Outside(Protocol):
    """What lies beyond the cloud. A test hands down another."""

    def resolve(self, host: str) -> tuple[Address, ...]:
        """Every address of a name, in the order to try. Raises OSError when there is none."""

    def is_own(self, address: Address) -> bool:
        """Whether this computer itself has the address."""

    def connect(self, address: Address, port: int, timeout_s: float) -> httpcore.NetworkStream:
        """A TCP connection to this very address. Raises httpcore.ConnectError, httpcore.ConnectTimeout."""


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
