"""What workers counted of themselves. Nobody can scrape them: they leave their numbers where an API process looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client.core import Metric

from service.meters import Family


def joined(own: Iterable[Metric], kept: Mapping[str, list[Any]]) -> list[Metric]:
    """This process's families, with the samples of the others under the label `process`; each family once."""
    families = {family.name: family for family in own}
    for process, told in kept.items():
        for name, kind, told_as, samples in map(_family, told):
            family = families.setdefault(name, Metric(name, told_as, kind))
            for sample, labels, value in samples:
                family.add_sample(sample, {**labels, "process": process}, value)
    return list(families.values())


def _family(told: Any) -> Family:
    name, kind, told_as, samples = told
    return name, kind, told_as, samples
