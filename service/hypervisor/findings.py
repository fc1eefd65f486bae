"""Expectations and findings of a check of a host before its use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from service.hypervisor.spec import VirtType
from service.hypervisor.values import HypervisorFacts
from storage.refs import Attachment, VolumeRef

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check of a host: `detail` of the result, `fix` of a problem."""

    check: str
    verdict: Verdict
    detail: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Expectations:
    """Requirements of the cloud on a host.

    `ceph_user` "" stands for the usual `host-<its hostname>`. `volume` is a small volume that the host must be able to
    open; None: not tried. `source` is how it opens it, but for the user in it, which `ceph_user` says.
    `cpu_features` and `uuids` are those of the cloud's other hosts, by host name.
    """

    bridges: tuple[str, ...]
    ceph_user: str
    volume: VolumeRef | None
    source: Attachment
    now: datetime
    cpu_features: Mapping[str, frozenset[str]] = field(default_factory=dict)
    uuids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostReport:
    """All findings in order; the other fields are None if the host is unreachable."""

    findings: tuple[Finding, ...]
    hostname: str | None = None
    uuid: str | None = None
    ceph_user: str | None = None
    facts: HypervisorFacts | None = None
    virt_type: VirtType | None = None

    @property
    def failed(self) -> bool:
        """Return True if a required check failed."""
        return any(finding.verdict == "fail" for finding in self.findings)
