"""What an algorithm from outside is told, as JSON data. docs/howto/choose-an-algorithm.md lists it: nothing may go."""

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
    """What the VM needs."""
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
    """A host that may take the VM, with what is known of it and what storage_cpu thinks of it."""
    facts = {name: getattr(host, name) for name in FACTS}
    facts["project_vms"] = host.projects.get(want.project_id, 0) if want.project_id is not None else 0
    facts["storage"], facts["usage"] = _told(host.storage), _told(host.usage)
    return {"host": host.name, "score": verdict.score, "terms": dict(verdict.terms), "facts": facts}


def _told(seen: HostStorage | HostUsage | None) -> Json | None:
    if seen is None:
        return None
    told = {field.name: getattr(seen, field.name) for field in fields(seen)}
    return told | {"local_reads": dict(seen.local_reads)} if isinstance(seen, HostStorage) else told
