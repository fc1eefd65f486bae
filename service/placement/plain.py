"""Facts and requests as the plain data of the journal, without what is at its default."""

from __future__ import annotations

from collections.abc import Mapping

from service.facts import codec
from service.json_types import Json, JsonObject
from service.placement.facts import HostFacts, VmRequest

# Members of HostFacts in pages that were written before it held these values: still read for as long as pages are kept.
MOVED: Mapping[str, str] = {
    "cpu_load": "load",
    **dict.fromkeys(("local_disk_free_bytes", "firmwares", "cpu_model", "cpu_features", "bridges"), "hardware"),
}


def plain(value: HostFacts | VmRequest) -> JsonObject:
    """Return numbers, text, lists and dicts. Not-a-number is kept: invalid facts are part of a decision's input."""
    return codec.compact(value)


def host_facts(document: Mapping[str, Json]) -> HostFacts:
    """Return the host that was given to plain(), by this version or the one before."""
    if MOVED.keys() & document.keys():
        document = _nested(document)
    return codec.decode(HostFacts, document)


def vm_request(document: Mapping[str, Json]) -> VmRequest:
    """Return the request that was given to plain()."""
    return codec.decode(VmRequest, document)


def _nested(document: Mapping[str, Json]) -> JsonObject:
    nested: JsonObject = {name: dict(document.get(name, {})) for name in ("hardware", "load")}
    for name in MOVED.keys() & document.keys():
        nested[MOVED[name]][name] = document[name]
    return {**document, **nested}
