"""Metrics of workers: they serve no HTTP, so an API process reads them from the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client.core import Metric

from service.meters import Family


def joined(own: Iterable[Metric], kept: Mapping[str, list[Any]]) -> list[Metric]:
    """Return this process's families with the samples of other processes.

    Samples of other processes have the label `process`. Each family is returned once.
    """
    families = {family.name: family for family in own}
    for process, stored in kept.items():
        for name, kind, text, samples in map(_family, stored):
            family = families.setdefault(name, Metric(name, text, kind))
            for sample, labels, value in samples:
                family.add_sample(sample, {**labels, "process": process}, value)
    return list(families.values())


def _family(stored: Any) -> Family:
    name, kind, text, samples = stored
    return name, kind, text, samples
