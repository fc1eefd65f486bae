"""Network latency of each host, from the heartbeats between OSDs."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def by_host(osd_stats: Iterable[Mapping[str, Any]], host_of: Mapping[int, str]) -> dict[str, float]:
    """Return host → milliseconds.

    `osd_stats` is the output of `pg dump osds`, `host_of` has the host of every OSD that is up. A pair of hosts has one
    number, the median of its OSDs'. A host has the median of its pairs: if one of several hosts has a slow link, the
    others have one slow pair and it has only slow ones. (Of two hosts the slow one cannot be identified.)
    """
    pairs: defaultdict[frozenset[str], list[float]] = defaultdict(list)
    for ends, milliseconds in _measured(osd_stats, host_of):
        pairs[ends].append(milliseconds)
    of_host: defaultdict[str, list[float]] = defaultdict(list)
    for ends, found in pairs.items():
        for host in ends:
            of_host[host].append(statistics.median(found))
    return {host: round(statistics.median_low(found), 2) for host, found in of_host.items()}


def _measured(
    osd_stats: Iterable[Mapping[str, Any]], host_of: Mapping[int, str]
) -> Iterator[tuple[frozenset[str], float]]:
    """Yield (both hosts, milliseconds) of every pair of OSDs that are up on two hosts."""
    for stats in osd_stats:
        here = host_of.get(stats["osd"])
        for peer in stats.get("network_ping_times", ()):
            there = host_of.get(peer["osd"])
            # The slower of the two networks, by the last ping: the averages are minutes old.
            last = [float(network["last"]) for network in peer.get("interfaces", ()) if "last" in network]
            if here is not None and there is not None and here != there and last:
                yield frozenset({here, there}), max(last)
