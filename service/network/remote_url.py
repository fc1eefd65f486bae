"""Validation of URLs that users name for download, and of their addresses.

A user who makes a server open a URL reaches what only that server can reach. So a URL is parsed here, once and
strictly, and an address is refused unless it is public or an operator listed its network. The cloud's own networks are
always refused. Sources: RFC 3986, and the IANA special-purpose registries as in `ipaddress`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from service.errors import InvalidError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_URL = 2048
LONGEST_HOST = 253
LONGEST_PORT = 5
DEFAULT_PORTS = {"http": 80, "https": 443}
# RFC 3986's characters only: no space, backslash, control or non-ASCII character.
CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
PARTS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<target>[^#]*)")
AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]+)(?::(?P<port>[0-9]*))?")
# The last label must not end in digits, so that no decimal, octal or hexadecimal spelling of an address matches.
NAME = re.compile(
    r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?"
)
# IPv6 addresses with an IPv4 one in their last 32 bits (mapped, NAT64): the IPv4 address is checked.
CARRIERS = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
# Not public, but not marked as such there: other embedded IPv4 (compatible, 6to4, Teredo, local NAT64, 6to4 relays),
# site-local, documentation, segment routing.
NOT_PUBLIC: tuple[Network, ...] = (
    *(IPv6Network(text) for text in ("::/96", "2002::/16", "2001::/32", "64:ff9b:1::/48", "fec0::/10")),
    *(IPv6Network(text) for text in ("3fff::/20", "5f00::/16")),
    IPv4Network("192.88.99.0/24"),
)


@dataclass(frozen=True, slots=True)
class RemoteUrl:
    """A parsed URL. `target`: path and query, percent-encoded; `host`: name or address."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port as in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def address(self) -> Address | None:
        """Address of the host; None when it is a name."""
        return _address(self.host)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


@dataclass(frozen=True, slots=True)
class Reach:
    """Networks that may be connected to: public ones and `allowed`, but never `own`."""

    allowed: tuple[Network, ...] = ()
    own: tuple[Network, ...] = ()

    def check(self, host: str, address: Address) -> None:
        """Check that the address of `host` may be connected to.

        Raises InvalidError (`url.address`). The error does not contain the address: users may not resolve names of this
        network through the service.
        """
        why = self._why_not(address)
        if why:
            detail = f"{host} leads to an address that {why}: name a host with public addresses only."
            raise InvalidError(detail, code="url.address")

    def _why_not(self, address: Address) -> str | None:
        if any(_within(address, carrier) for carrier in CARRIERS):
            return self._why_not(IPv4Address(int(address) & 0xFFFFFFFF))
        if any(_within(address, network) for network in self.own):
            return "belongs to this cloud"
        if address.is_unspecified or address.is_multicast or address.is_loopback or address.is_link_local:
            return "is local to each computer"
        if any(_within(address, network) for network in self.allowed):
            return None
        public = address.is_global and not address.is_reserved
        if not public or any(_within(address, network) for network in NOT_PUBLIC):
            return "is not public"
        return None


def parse(text: str, ports: Collection[int]) -> RemoteUrl:
    """Parse a URL.

    Raises InvalidError: `url.invalid`, `url.scheme`, `url.credentials`, `url.port`.
    """
    if len(text) > LONGEST_URL or not CHARACTERS.fullmatch(text):
        raise _invalid(f"it is longer than {LONGEST_URL} characters, or has invalid ones")
    parts = PARTS.fullmatch(text)
    if parts is None:
        raise _invalid("it is not 'https://host/path', without a fragment")
    scheme = parts["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise InvalidError(f"'{scheme[:20]}' is not fetched: only http and https are.", code="url.scheme")
    if "@" in parts["authority"]:
        detail = "A URL with a user or a password is not fetched: others would see it."
        raise InvalidError(detail, code="url.credentials")
    host, port = _authority(parts["authority"], DEFAULT_PORTS[scheme])
    if port not in ports:
        allowed = ", ".join(str(each) for each in sorted(ports))
        raise InvalidError(f"Port {port} is not fetched from: only {allowed} are.", code="url.port")
    target = parts["target"]
    return RemoteUrl(scheme, host, port, target if target.startswith("/") else f"/{target}")


def _authority(text: str, default_port: int) -> tuple[str, int]:
    found = AUTHORITY.fullmatch(text)
    if found is None or len(found["port"] or "") > LONGEST_PORT:
        raise _invalid("its host and port cannot be read")
    host = found["host"]
    bare = host.strip("[]").lower() if host.startswith("[") else host.lower()
    is_address = _address(bare) is not None and host.startswith("[") == (":" in bare)
    if not is_address and (host.startswith("[") or len(host) > LONGEST_HOST or not NAME.fullmatch(host)):
        raise _invalid("its host is neither a name nor an address in its usual form")
    return bare, int(found["port"] or default_port)


def _address(host: str) -> Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    # A zone ("%eth0") names an interface of this computer.
    return None if isinstance(address, IPv6Address) and address.scope_id else address


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


def _invalid(why: str) -> InvalidError:
    return InvalidError(f"The URL is not fetched: {why}.", code="url.invalid")
