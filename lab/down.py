"""`python3 -m lab.down [NAME] [--purge]`: nothing of the lab runs any more; its disks stay unless it is purged."""

import argparse
import os
import sys

from lab import leftovers, store
from lab.errors import LabError
from lab.spec import DEFAULT_NAME, check_name


def down(name: str, *, purge: bool) -> None:
    """End a lab, whatever state a dead run left it in, and delete its files when asked."""
    check_name(name)
    lock = store.lock_path(name)
    store.end_holder(lock)  # an `up` under way has nothing left to do
    with store.locked(lock):
        ended = leftovers.end_all(name, store.BASE)
        print(f"down       ended: {', '.join(ended) or 'nothing was running'}")
        if purge:
            leftovers.purge(name, store.BASE)
            kept = ", ".join(store.lab_names())
            print(f"purge      deleted lab {name}" + (f"; the cache stays for {kept}" if kept else " and the cache"))


def require_root() -> None:
    """LabError unless we may make and remove network interfaces and mounts."""
    if os.geteuid() != 0:
        raise LabError("The lab makes and removes network interfaces and mounts, which needs root: run it with sudo.")


def main() -> int:
    """The command line of this module alone."""
    parser = argparse.ArgumentParser(prog="python3 -m lab.down", description=__doc__)
    parser.add_argument("name", nargs="?", default=DEFAULT_NAME)
    parser.add_argument("--purge", action="store_true")
    options = parser.parse_args()
    try:
        require_root()
        down(options.name, purge=options.purge)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
