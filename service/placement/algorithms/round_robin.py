"""round_robin: hosts take turns. The turn is read off the hosts: the one with the fewest VMs is next, by name.

So there is no cursor that processes would have to share, that a crash would lose, or that a replay would have to know;
and a host that was passed over, or that VMs have left, catches up.
"""

from __future__ import annotations

import numpy as np

from service.placement.columns import VM_COUNT, Floats
from service.placement.facts import VmRequest
from service.placement.policy import Policy
from service.placement.table import HostTable

WEIGHTS = {"balance": 1.0}  # shown beside the choice; they do not make it


def next_in_turn(table: HostTable, _want: VmRequest, scores: Floats) -> int:
    """The row with the fewest VMs; of equals the first by name."""
    return int(np.where(scores >= 0, table.columns.numbers[VM_COUNT], np.inf).argmin())


ROUND_ROBIN = Policy("round_robin", WEIGHTS, next_in_turn)
