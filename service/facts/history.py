"""Numbers of a host that are recorded over time: every fact with a series, and the CPUs that its guests used."""

from __future__ import annotations

from dataclasses import dataclass

from service.facts.fact import Unit, facts_of
from service.facts.host import COLUMNS


@dataclass(frozen=True, slots=True)
class Recorded:
    """A series. `column` and `fact` name its source in the table `host`; None: the measurements of its VMs."""

    series: str
    unit: Unit
    help: str
    column: str | None = None
    fact: str | None = None


GUEST_CPUS = Recorded("guest_cpus", "cpus", "CPUs that its guests used.")
HOST_SERIES: tuple[Recorded, ...] = (
    *(
        Recorded(one.about.series, one.about.unit, one.about.help, column, one.name)
        for column, kind in COLUMNS.items()
        for one in facts_of(kind)
        if one.about.series is not None
    ),
    GUEST_CPUS,
)
