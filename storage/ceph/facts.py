"""Health, pools and OSDs by cluster commands; `ask` runs a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from storage.facts import OsdFacts, PoolFacts, StorageHealth

Ask = Callable[..., Any]
# Ceph's own nearfull ratio; it has no warning of its own for a pool that nears its quota.
_QUOTA_NEAR_FULL = 0.85


def health(ask: Ask) -> StorageHealth:
    """Return the cluster's health, one line per failing check."""
    verdict, version = ask("health"), ask("version")["version"]
    checks = tuple(f"{code}: {check['summary']['message']}" for code, check in sorted(verdict["checks"].items()))
    return StorageHealth(status=verdict["status"], checks=checks, version=version.split()[2])


def pools(ask: Ask) -> tuple[PoolFacts, ...]:
    """Return the pools that are enabled for RBD, by name."""
    use = {pool["name"]: pool["stats"] for pool in ask("df", detail="detail")["pools"]}
    details = {pool["pool_name"]: pool for pool in ask("osd pool ls", detail="detail")}
    rules = {rule["rule_id"]: rule for rule in ask("osd crush rule dump")}
    ours = [name for name, pool in sorted(details.items()) if "rbd" in pool["application_metadata"]]
    counted = [name for name in ours if name in use]  # a pool may be newer than the usage
    return tuple(_pool(details[name], use[name], rules.get(details[name].get("crush_rule"), {})) for name in counted)


def _pool(detail: dict[str, Any], use: dict[str, Any], rule: dict[str, Any]) -> PoolFacts:
    flags = set(detail["flags_names"].split(","))
    stored, free, quota = use["stored"], use["max_avail"], detail["quota_max_bytes"]
    near_quota = bool(quota) and stored >= quota * _QUOTA_NEAR_FULL
    return PoolFacts(
        name=detail["pool_name"],
        replicas=detail["size"],
        stored_bytes=stored,
        free_bytes=min(free, max(0, quota - stored)) if quota else free,
        near_full=near_quota or bool(flags & {"nearfull", "backfillfull"}),
        full="full" in flags,
        quota_bytes=quota or None,
        crush_rule=rule.get("rule_name"),
        device_class=_device_class(rule),
    )


def _device_class(rule: dict[str, Any]) -> str | None:
    """Return the rule's device class: CRUSH names such a subtree `root~class`."""
    classes = {name.partition("~")[2] for step in rule.get("steps", ()) if (name := step.get("item_name"))}
    return classes.pop() or None if len(classes) == 1 else None


def osds(ask: Ask) -> tuple[OsdFacts, ...]:
    """Return every OSD by number, with its CRUSH host; "" for one under no host."""
    tree = ask("osd df", output_method="tree")
    latencies = {entry["id"]: entry["perf_stats"] for entry in _perf_infos(ask("osd perf"))}
    hosts = dict(_hosts_of_osds(tree["nodes"]))
    nodes = {node["id"]: node for node in tree["nodes"] + tree["stray"] if node["type"] == "osd"}
    return tuple(_osd(node, hosts.get(number, ""), latencies.get(number, {})) for number, node in sorted(nodes.items()))


def _perf_infos(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the list, whose place differs between versions of Ceph."""
    found: list[dict[str, Any]] = answer.get("osdstats", answer)["osd_perf_infos"]
    return found


def _hosts_of_osds(nodes: list[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    for node in nodes:
        if node["type"] == "host":
            yield from ((child, node["name"]) for child in node["children"])


def _osd(node: dict[str, Any], host: str, latency: dict[str, int]) -> OsdFacts:
    up = node["status"] == "up"
    return OsdFacts(
        osd_id=node["id"],
        host=host,
        up=up,
        in_cluster=node["reweight"] > 0,
        # The last numbers of an OSD that is down are reported for ever.
        commit_latency_ms=_milliseconds(latency, "commit") if up else None,
        apply_latency_ms=_milliseconds(latency, "apply") if up else None,
        used_bytes=node["kb_used"] * 1024,
        total_bytes=node["kb"] * 1024,
        device_class=node.get("device_class") or None,
    )


def _milliseconds(latency: dict[str, int], kind: str) -> float | None:
    nanoseconds = latency.get(f"{kind}_latency_ns", 0)
    return nanoseconds / 1e6 if nanoseconds else None  # an idle OSD reports 0: no data
