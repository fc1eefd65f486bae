"""Memory limit of each OSD, from the monitors' configuration database.

An OSD's own ceph.conf can override it, which is not visible here. Of several matching entries one with a mask wins,
even over the entry of the OSD itself, a host's mask over a disk class's (as in Ceph 16.2.15), then the more specific
section.
https://docs.ceph.com/en/pacific/rados/configuration/ceph-conf/#sections-and-masks
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from storage.facts import OsdFacts

_OPTION = "osd_memory_target"
_DEFAULT_BYTES = 4 << 30  # Ceph's own


def by_osd(config: Iterable[Mapping[str, Any]], osds: Iterable[OsdFacts]) -> dict[int, int]:
    """Return OSD → bytes. `config` is the output of `config dump`."""
    entries = [entry for entry in config if entry["name"] == _OPTION]
    return {osd.osd_id: _target(entries, osd) for osd in osds}


def _target(entries: Iterable[Mapping[str, Any]], osd: OsdFacts) -> int:
    masks = ("", f"class:{osd.device_class}", f"host:{osd.host}")
    sections = ("global", "osd", f"osd.{osd.osd_id}")
    fitting = [
        (masks.index(mask), sections.index(entry["section"]), int(entry["value"]))
        for entry in entries
        if (mask := entry.get("mask", "")) in masks and entry["section"] in sections
    ]
    return max(fitting)[-1] if fitting else _DEFAULT_BYTES
