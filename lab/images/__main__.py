"""`python -m lab.images mini|debian [--force]`: build an image when needed and print its path."""

import argparse
import sys

from lab.errors import LabError
from lab.images import build_debian, build_mini

BUILDERS = {"debian": build_debian.build, "mini": build_mini.build}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.images", description=__doc__)
    parser.add_argument("image", choices=sorted(BUILDERS))
    parser.add_argument("--force", action="store_true", help="build anew, with the newest packages")
    wanted = parser.parse_args()
    try:
        print(BUILDERS[wanted.image](force=wanted.force))
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


sys.exit(main())
