"""Which address and MAC a guest's network card gets. Pure: what is taken comes in, a free one comes out."""

from __future__ import annotations

import random
from collections.abc import Collection, Container
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

# Locally administered, and the prefix that QEMU and libvirt use: neighbours know such a card for a virtual one.
MAC_PREFIX = "52:54:00"


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


def new_mac(randomness: random.Random, taken: Container[str]) -> str:
    """A MAC that is not in `taken`. The space has 2^24 values, so a second draw is rare and a third rarer."""
    while True:
        tail = ":".join(f"{randomness.randrange(256):02x}" for _ in range(3))
        mac = f"{MAC_PREFIX}:{tail}"
        if mac not in taken:
            return mac
