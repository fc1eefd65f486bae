"""Summary of the reasons why hosts cannot take a VM."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

MOST_LINES = 20  # more hosts are grouped


def grouped(reasons: Mapping[str, Iterable[str]]) -> list[str]:
    """Return one line per host, or per group of hosts if there are many.

    Hosts are grouped if their reasons differ only in numbers.
    """
    texts = {host: "; ".join(why) for host, why in sorted(reasons.items())}
    if len(texts) <= MOST_LINES:
        return [f"{host}: {text}" for host, text in texts.items()]
    alike: dict[str, list[str]] = {}
    for host, text in texts.items():
        alike.setdefault(_without_numbers(text), []).append(host)
    largest = sorted(alike.values(), key=lambda hosts: (-len(hosts), hosts))
    return [f"{_format_hosts(hosts)}: {texts[hosts[0]]}" for hosts in largest]


def _without_numbers(text: str) -> str:
    return "".join(letter for letter in text if not letter.isdigit())


def _format_hosts(hosts: list[str]) -> str:
    return hosts[0] if len(hosts) == 1 else f"{len(hosts)} hosts, for example {hosts[0]}"
