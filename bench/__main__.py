"""`python -m bench [NAME …]`: run the benchmarks; exit status 1 when an aim does not hold."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping

from bench import (
    api,
    create,
    discovery,
    history,
    packing_online,
    placement_decision,
    placement_rest,
    placement_storage,
    restart,
)
from bench.comparison import Comparison, Limit, table, tell

BENCHES: Mapping[str, Callable[[], Iterator[Comparison | Limit]]] = {
    "api": api.run,
    "create": create.run,
    "history": history.run,
    "packing": packing_online.run,
    "discovery": discovery.run,
    "placement_decision": placement_decision.run,
    "placement_rest": placement_rest.run,
    "placement_storage": placement_storage.run,
    "restart": restart.run,
}


def main(words: list[str]) -> int:
    """Run what is named, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"any of {', '.join(BENCHES)}; all of them when none is named")
    names = parser.parse_args(words).name or list(BENCHES)
    unknown = sorted(set(names) - BENCHES.keys())
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}: known are {', '.join(BENCHES)}")
    told = [one for name in names for one in tell(BENCHES[name]())]
    table(told)
    return 0 if all(one.holds for one in told) else 1


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    # librbd 16 now and then aborts a process that has used it and disconnects: it is left without a farewell.
    os._exit(status)
