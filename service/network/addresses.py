"""Which address and MAC a guest's network card gets. Pure: what is taken comes in, a free one comes out."""

from __future__ import annotations

import random
from collections.abc import Collection, Container, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

# Locally administered, and the prefix that QEMU and libvirt use: neighbours know such a card for a virtual one.
MAC_PREFIX = "52:54:00"
GUESSES = 16


@dataclass(frozen=True, slots=True)
class AddressPool:
    """The part of a network that guests may get addresses from, both ends included."""

    network: IPv4Network
    first: IPv4Address
    last: IPv4Address

    def lowest_free(self, taken: Collection[IPv4Address]) -> IPv4Address | None:
        """The lowest address that nobody has; None when all are taken."""
        for number in range(int(self.first), int(self.last) + 1):
            address = IPv4Address(number)
            if address not in taken:
                return address
        return None

    def interface(self, address: IPv4Address) -> IPv4Interface:
        """The address with its prefix length, as a guest's configuration wants it."""
        return IPv4Interface(f"{address}/{self.network.prefixlen}")


class LastGiven:
    """The address that each network gave out last, as far as this process knows: what comes after it is likely free.

    A guess, and nothing else: whoever is given an address makes sure in the database.
    """

    def __init__(self) -> None:
        self._by_network: dict[str, IPv4Address] = {}

    def after_the_last(self, network_id: str, pool: AddressPool) -> Iterator[IPv4Address]:
        """The next few addresses of the pool; none before the first was given."""
        last = self._by_network.get(network_id)
        if last is not None and pool.first <= last:
            yield from map(IPv4Address, range(int(last) + 1, min(int(last) + GUESSES, int(pool.last)) + 1))

    def give(self, network_id: str, address: IPv4Address) -> None:
        """Note the address."""
        self._by_network[network_id] = address


def new_mac(randomness: random.Random, taken: Container[str] = ()) -> str:
    """A MAC that is not in `taken`. The space has 2^24 values, so a second draw is rare and a third rarer."""
    while True:
        tail = ":".join(f"{randomness.randrange(256):02x}" for _ in range(3))
        mac = f"{MAC_PREFIX}:{tail}"
        if mac not in taken:
            return mac
