"""Settings of migrations for operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class MigrationSettings:
    """Settings of migrations.

    `tls` encrypts the memory stream with the hosts' certificates in /etc/pki/qemu; `channels` > 1 is multifd.
    `landing`: a guest that arrives "paused" is resumed by the control plane once the source has certainly ended, so it
    never runs twice; that takes a few tenths of a second. One that arrives "running" has less downtime; if the reply of
    the hand-over is lost then, the stopped original is ended within seconds, long before libvirt would resume it,
    unless no worker watches at that moment or the target's daemon exits in it (later DomainTwiceError).
    """

    tls: bool = True
    channels: int = 1
    landing: Literal["paused", "running"] = "paused"
