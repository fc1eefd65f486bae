"""Request to an external algorithm, as JSON data.

docs/howto/choose-an-algorithm.md lists its members: none may be removed.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from service.placement.facts import HostFacts, HostStorage, HostUsage, VmRequest
from service.placement.place import Verdict

Json = dict[str, Any]
FACTS = (
    "free_vcpus", "usable_vcpus", "free_memory_mib", "usable_memory_mib", "vm_count", "migrations", "cpu_load",
    "cpu_model", "virt_type", "local_disk_free_bytes",
)  # fmt: skip


def request(want: VmRequest) -> Json:
    """Return the VM's requirements."""
    return {
        "vcpus": want.vcpus,
        "memory_mib": want.memory_mib,
        "pools": [pool.name for pool in want.pools],
        "project_id": want.project_id,
        "firmware": want.firmware,
        "moves": want.moves,
        "rules": [{"name": rule.name, "kind": rule.kind, "hard": rule.hard} for rule in want.rules],
    }


def candidate(host: HostFacts, verdict: Verdict, want: VmRequest) -> Json:
    """Return a host that passed all filters, with its facts and storage_cpu's verdict."""
    facts = {name: getattr(host, name) for name in FACTS}
    facts["project_vms"] = host.projects.get(want.project_id, 0) if want.project_id is not None else 0
    facts["storage"], facts["usage"] = _as_json(host.storage), _as_json(host.usage)
    return {"host": host.name, "score": verdict.score, "terms": dict(verdict.terms), "facts": facts}


def _as_json(observed: HostStorage | HostUsage | None) -> Json | None:
    if observed is None:
        return None
    values = {field.name: getattr(observed, field.name) for field in fields(observed)}
    return values | {"local_reads": dict(observed.local_reads)} if isinstance(observed, HostStorage) else values
