"""How guests move: what an operator may choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class MigrationSettings:
    """How guests move.

    `tls` encrypts the memory stream with the hosts' certificates in /etc/pki/qemu; `channels` > 1 is multifd.
    `landing`: a guest that lands "paused" is resumed here, once the source has certainly let go of it, so it never runs
    twice; libvirt takes a few tenths of a second for that. One that lands "running" is down for less; should the reply
    of the hand-over get lost then, the stopped original is ended within seconds, long before libvirt would wake it,
    unless nobody watches at that moment or the target's daemon dies in it (DomainTwiceError tells afterwards).
    """

    tls: bool = True
    channels: int = 1
    landing: Literal["paused", "running"] = "paused"
