"""How slow each host's network is, from the OSDs' own heartbeats to each other."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def by_host(osd_stats: Iterable[Mapping[str, Any]], host_of: Mapping[int, str]) -> dict[str, float]:
    """Host → milliseconds; `osd_stats` as `pg dump osds` tells them, `host_of` every living OSD's host.

    A pair of hosts has one number, the median of its OSDs'. A host has the median of its pairs: where one of several
    hosts has a slow link all others see one slow pair and it sees nothing else. (Two hosts cannot be told apart.)
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
    """(both hosts, milliseconds) of every pair of living OSDs on different hosts."""
    for stats in osd_stats:
        here = host_of.get(stats["osd"])
        for peer in stats.get("network_ping_times", ()):
            there = host_of.get(peer["osd"])
            # The slower of the two networks, by the last ping: the averages beside it are minutes old.
            last = [float(network["last"]) for network in peer.get("interfaces", ()) if "last" in network]
            if here is not None and there is not None and here != there and last:
                yield frozenset({here, there}), max(last)
