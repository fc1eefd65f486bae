"""`python -m bench.writes_beside DATABASE_URL`: another process that changes a host's row ten times a second, as claims
do, until standard input ends; then it says how long each took, in seconds, as one JSON list."""

from __future__ import annotations

import json
import select
import sys
import time

from service.db.engine.database import bind, open_database, transaction
from service.db.tables import TABLES, Host

PAUSE_S = 0.1


def main(url: str) -> None:
    """Until standard input ends."""
    db, waits_s = open_database(url), list[float]()
    bind(db, TABLES)
    while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
        began_s = time.monotonic()
        with transaction(db):
            Host.update(generation=Host.generation + 1).where(Host.name == "host00000").execute()
        waits_s.append(time.monotonic() - began_s)
    print(json.dumps(waits_s))


if __name__ == "__main__":
    main(sys.argv[1])
