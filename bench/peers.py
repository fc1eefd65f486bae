"""Other projects' programs to measure beside: each in an environment of its own, that pip makes where PEERS=1."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(os.environ.get("PEERS_FOLDER", Path.home() / ".cache/nacre/peers"))
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "nova": ("nova",),
    "placement": ("openstack-placement", "psycopg2-binary", "gunicorn"),
}


def interpreter(peer: str) -> Path | None:
    """The Python of a peer's environment, made when it is not there and PEERS=1; None: it is absent.

    Raises subprocess.CalledProcessError when pip cannot install it.
    """
    folder = FOLDER / peer
    python, made = folder / "bin/python", folder / "made"
    if made.exists():
        return python
    if os.environ.get("PEERS") not in ("1", "yes", "true"):
        return None
    venv.create(folder, clear=True, with_pip=True)
    subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES[peer]], check=True, stdout=sys.stderr)
    made.touch()
    return python


def absent(bench: str, peer: str) -> None:
    """Say that only one side runs."""
    told = f"{bench}: {peer} is absent, so nothing is compared: PEERS=1 installs it into {FOLDER}\n"
    sys.stderr.write(told)
