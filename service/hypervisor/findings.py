"""What a look at a host before its use asks for, and what it finds: values, so that anybody may show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from service.hypervisor.spec import CephAccess, VirtType
from service.hypervisor.values import HypervisorFacts

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of one host: `told` is what was found, `mend` the next step where that is not good."""

    check: str
    verdict: Verdict
    told: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Expectations:
    """What the cloud needs of a host.

    `ceph.user` "" stands for the usual `host-<its hostname>`. `volume` is (pool, RBD name) of a small volume that the
    host must be able to open as `ceph`; None: not tried.
    `cpu_features` and `uuids` are those of the cloud's other hosts, by host name.
    """

    bridges: tuple[str, ...]
    ceph: CephAccess
    volume: tuple[str, str] | None
    now: datetime
    cpu_features: Mapping[str, frozenset[str]] = field(default_factory=dict)
    uuids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostReport:
    """All findings, in the order in which they were made. What follows is None when the host could not be asked."""

    findings: tuple[Finding, ...]
    hostname: str | None = None
    uuid: str | None = None
    ceph_user: str | None = None
    facts: HypervisorFacts | None = None
    virt_type: VirtType | None = None

    @property
    def failed(self) -> bool:
        """Whether something must be mended first."""
        return any(finding.verdict == "fail" for finding in self.findings)
