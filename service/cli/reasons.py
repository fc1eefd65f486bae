"""Why hosts cannot take a VM, in few lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

MOST_LINES = 20  # more hosts are grouped


def grouped(reasons: Mapping[str, Iterable[str]]) -> list[str]:
    """A line for each host; where they are many, a line for hosts with the same reasons but for the numbers."""
    told = {host: "; ".join(why) for host, why in sorted(reasons.items())}
    if len(told) <= MOST_LINES:
        return [f"{host}: {why}" for host, why in told.items()]
    alike: dict[str, list[str]] = {}
    for host, why in told.items():
        alike.setdefault(_without_numbers(why), []).append(host)
    largest = sorted(alike.values(), key=lambda hosts: (-len(hosts), hosts))
    return [f"{_some(hosts)}: {told[hosts[0]]}" for hosts in largest]


def _without_numbers(text: str) -> str:
    return "".join(letter for letter in text if not letter.isdigit())


def _some(hosts: list[str]) -> str:
    return hosts[0] if len(hosts) == 1 else f"{len(hosts)} hosts, say {hosts[0]}"
