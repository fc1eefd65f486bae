"""Preflight of a host for operations: expectations, findings and their verdict."""

from __future__ import annotations

import dataclasses

from service.context import Context
from service.db import queries
from service.db.engine.database import unit_of_work
from service.db.scope import EVERYTHING
from service.db.tables import Host, Network
from service.errors import ConflictError
from service.hypervisor.contract import HostEndpoint
from service.hypervisor.findings import Expectations, Finding, HostReport
from service.jobs.job import Job
from service.json_types import JsonObject
from service.operations.observe import observation
from storage.errors import StorageError
from storage.refs import HostRef, VolumeRef

VOLUME_BYTES = 1 << 20
NEVER_FORCED = frozenset({"reach", "identity", "kvm"})  # nothing works without these


def look(ctx: Context, job: Job, *, name: str, address: str, ceph_user: str | None) -> HostReport:
    """Run the checks on the host.

    A volume is created for the host to open and removed again; its undo verb is `remove_volume`.
    """
    volume = VolumeRef(ctx.settings.vm_pool, f"nacre-check-{job.id}")
    with job.undo() as undo:
        undo.push("remove_volume", volume.pool, volume.name)
        trouble = _make_volume(ctx, volume, job.id)
        try:
            host = ctx.hypervisors.on(HostEndpoint(name=name, address=address))
            expected = _expectations(ctx, HostRef(name, ceph_user or ""), volume, made=trouble is None)
            report = host.preflight(expected)
        finally:
            if trouble is None:
                ctx.storage.remove_volume(volume)
    return dataclasses.replace(report, findings=(*report.findings, *trouble)) if trouble else report


def _make_volume(ctx: Context, volume: VolumeRef, job_id: str) -> tuple[Finding, ...] | None:
    try:
        ctx.storage.create_volume(volume, size_bytes=VOLUME_BYTES, job_id=job_id)
    except StorageError as error:
        return (Finding("storage", "fail", f"the control plane itself: {error}", "See 'nacre storage' for health."),)
    return None


def _expectations(ctx: Context, looked_at: HostRef, volume: VolumeRef, *, made: bool) -> Expectations:
    with unit_of_work(ctx.db):
        bridges = {network.bridge for network in queries.everything(Network, EVERYTHING)}
        others = [host for host in queries.everything(Host, EVERYTHING) if host.name != looked_at.name]
    return Expectations(
        bridges=tuple(sorted(bridges)),
        ceph_user=looked_at.user,
        volume=volume if made else None,
        source=ctx.storage.attachment(volume, looked_at),
        now=ctx.clock.now(),
        cpu_features={host.name: frozenset(host.hardware["cpu_features"]) for host in others if host.hardware},
        uuids={host.name: host.libvirt_uuid for host in others if host.libvirt_uuid},
    )


def findings(report: HostReport) -> list[dict[str, str]]:
    """Return the findings as plain data."""
    return [dataclasses.asdict(finding) for finding in report.findings]


def judge(name: str, found: list[dict[str, str]], *, force: bool) -> None:
    """Refuse an unfit host; with `force` only if a check in NEVER_FORCED failed.

    Raises ConflictError (`host.unfit`, `host.unreachable`) with all that must be fixed.
    """
    bad = [one for one in found if one["verdict"] == "fail" and (not force or one["check"] in NEVER_FORCED)]
    if bad:
        code = "host.unreachable" if bad[0]["check"] == "reach" else "host.unfit"
        problems = "\n".join(f"{finding['check']}: {finding['detail']}. {finding['fix']}" for finding in bad)
        raise ConflictError(f"Host {name} cannot be used yet; fix this and retry:\n{problems}", code=code)


def hardware(report: HostReport) -> JsonObject:
    """Return the facts of the machine that are stored."""
    return {} if report.facts is None else observation.hardware(report.facts)
