"""JSON for an algorithm from outside; docs/howto/choose-an-algorithm.md lists its members: none may be removed."""

from __future__ import annotations

from service.facts import codec
from service.json_types import JsonObject
from service.placement.facts import HostFacts, VmRequest
from service.placement.place import Verdict

FACTS = (
    "free_vcpus", "usable_vcpus", "free_memory_mib", "usable_memory_mib", "vm_count", "migrations", "virt_type"
)  # fmt: skip


def request(want: VmRequest) -> JsonObject:
    """Return what the VM needs."""
    return {
        "vcpus": want.vcpus,
        "memory_mib": want.memory_mib,
        "pools": [pool.name for pool in want.pools],
        "project_id": want.project_id,
        "firmware": want.firmware,
        "moves": want.moves,
        "rules": [{"name": rule.name, "kind": rule.kind, "hard": rule.hard} for rule in want.rules],
    }


def candidate(host: HostFacts, verdict: Verdict, want: VmRequest) -> JsonObject:
    """Return a host that may take the VM, with its facts and its score by storage_cpu."""
    facts: JsonObject = {name: getattr(host, name) for name in FACTS}
    facts["cpu_load"] = host.load.cpu_load
    facts["cpu_model"] = host.hardware.cpu_model
    facts["local_disk_free_bytes"] = host.hardware.local_disk_free_bytes
    facts["project_vms"] = host.projects.get(want.project_id, 0) if want.project_id is not None else 0
    facts["storage"] = None if host.storage is None else codec.encode(host.storage)
    facts["usage"] = None if host.usage is None else codec.encode(host.usage)
    return {"host": host.name, "score": verdict.score, "terms": dict(verdict.terms), "facts": facts}
