"""pack: the fullest host that the VM fits on, so that others stay empty; one in trouble is taken last."""

from __future__ import annotations

import numpy as np

from service.placement.columns import FREE_MEMORY, FREE_VCPUS, USABLE_MEMORY, USABLE_VCPUS, Floats
from service.placement.facts import VmRequest
from service.placement.policy import Policy
from service.placement.table import HostTable

WEIGHTS = {"osd_latency": 1.0, "osd_pressure": 1.0, "affinity": 1.0}
IN_TROUBLE = 0.5  # of the best host's score: what is below it is taken only when nothing else is left


def fullest(table: HostTable, _want: VmRequest, scores: Floats) -> int:
    """The row with the smallest share of free vCPUs and memory, summed up; of equals the first by name."""
    numbers = table.columns.numbers
    free = numbers[FREE_VCPUS] / numbers[USABLE_VCPUS] + numbers[FREE_MEMORY] / numbers[USABLE_MEMORY]
    sound = (scores >= 0) & (scores >= IN_TROUBLE * scores.max())
    return int(np.where(sound, free, np.inf).argmin())


PACK = Policy("pack", WEIGHTS, fullest)
