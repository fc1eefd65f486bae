"""Slow operations of OSDs, from the cluster's health."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# "12 slow ops, oldest one blocked for 34 sec, daemons [osd.1,mon.a] have slow ops."; of one only: "osd.1 has slow ops"
_COUNT = re.compile(r"^(\d+) slow ops")
_OSD = re.compile(r"\bosd\.(\d+)\b")
_CHECK = "SLOW_OPS"


def by_osd(health: Mapping[str, Any]) -> dict[int, int]:
    """Return OSD → slow operations.

    Health reports only the sum: each OSD gets an even share, rounded up.
    """
    check = health.get("checks", {}).get(_CHECK)
    if check is None:
        return {}
    message = check["summary"]["message"]
    named = sorted({int(number) for number in _OSD.findall(message)})
    count = _COUNT.match(message)
    together = int(count[1]) if count else len(named)
    return {osd: -(-together // len(named)) for osd in named}
