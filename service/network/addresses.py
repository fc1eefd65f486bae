"""Choice of addresses and MACs for guests' network cards. Pure functions."""

from __future__ import annotations

import random
from collections.abc import Collection, Container, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

# Locally administered, and the prefix that QEMU and libvirt use: others recognise such a card as virtual.
MAC_PREFIX = "52:54:00"
GUESSES = 16


@dataclass(frozen=True, slots=True)
class AddressPool:
    """Range of a network's addresses for guests, both ends included."""

    network: IPv4Network
    first: IPv4Address
    last: IPv4Address

    def lowest_free(self, taken: Collection[IPv4Address]) -> IPv4Address | None:
        """Return the lowest free address; None when all are taken."""
        for number in range(int(self.first), int(self.last) + 1):
            address = IPv4Address(number)
            if address not in taken:
                return address
        return None

    def interface(self, address: IPv4Address) -> IPv4Interface:
        """Return the address with its prefix length, for a guest's configuration."""
        return IPv4Interface(f"{address}/{self.network.prefixlen}")


class LastGiven:
    """Last address assigned by this process, per network; the next is likely free.

    It is only a hint: the caller must check the address in the database.
    """

    def __init__(self) -> None:
        self._by_network: dict[str, IPv4Address] = {}

    def after_the_last(self, network_id: str, pool: AddressPool) -> Iterator[IPv4Address]:
        """Yield the next few addresses of the pool; none before the first give()."""
        last = self._by_network.get(network_id)
        if last is not None and pool.first <= last:
            yield from map(IPv4Address, range(int(last) + 1, min(int(last) + GUESSES, int(pool.last)) + 1))

    def give(self, network_id: str, address: IPv4Address) -> None:
        """Record the assigned address."""
        self._by_network[network_id] = address


def new_mac(randomness: random.Random, taken: Container[str] = ()) -> str:
    """Return a random MAC that is not in `taken`, out of 2^24."""
    while True:
        tail = ":".join(f"{randomness.randrange(256):02x}" for _ in range(3))
        mac = f"{MAC_PREFIX}:{tail}"
        if mac not in taken:
            return mac
