#!/usr/bin/python3
"""Releases of the control plane on this machine, each in an environment of its own.

    nacre-release install ARCHIVE    unpack it beside the others; changes nothing that runs
    nacre-release activate ID        run it; when it does not become ready, run the one before it again
    nacre-release wait               until the active one is ready
    nacre-release list

A run that was cut short is finished by the next one.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

HOME = Path("/opt/nacre")
RELEASES = HOME / "releases"
LINK = HOME / "venv"
INTENT = HOME / "activating"
SETTINGS = Path("/etc/nacre/settings.toml")
UPGRADE_BACKUP = Path("/var/lib/nacre/before-upgrade.backup")
UNITS = ("nacre-worker.service", "nacre-api.service", "nacre-console.service")
KEPT = 3
ASK_AGAIN_S = 0.2


class FailedError(Exception):
    """A sentence for the person who asked."""


@dataclass(frozen=True)
class Intent:
    """An activation under way: which release came before it, and that one's backup, if the database will change."""

    target: str
    previous: str | None
    backup: str | None


def main() -> int:
    options = parser().parse_args()
    HOME.mkdir(exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            print(options.work(options))
        except (FailedError, OSError) as error:
            sys.stderr.write(f"nacre-release: {error}\n")
            return 1
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = made.add_subparsers(required=True, metavar="install|activate|wait|list")
    one = commands.add_parser("install")
    one.add_argument("archive", type=Path, help="nacre-ID.tar: the wheels of the release and of all it depends on")
    one.set_defaults(work=lambda options: install(options.archive))
    one = commands.add_parser("activate")
    one.add_argument("id")
    one.add_argument("--ready-timeout", type=float, default=60, metavar="SECONDS")
    one.set_defaults(work=lambda options: activate(options.id, options.ready_timeout))
    one = commands.add_parser("wait")
    one.add_argument("--ready-timeout", type=float, default=60, metavar="SECONDS")
    one.set_defaults(work=lambda options: wait_ready(options.ready_timeout))
    commands.add_parser("list").set_defaults(work=lambda _: "\n".join(listing()))
    return made


def install(archive: Path) -> str:
    """Make the release's environment, without a network; the mark that it is whole comes last."""
    release = archive.name.removeprefix("nacre-").removesuffix(".tar")
    folder = RELEASES / release
    if whole(release):
        return f"{release} is installed already"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=HOME) as wheels:
        command("tar", "--directory", wheels, "--extract", "--file", str(archive))
        # rados, rbd and libvirt are the system's; of everything else the release brings its own.
        command("/usr/bin/python3", "-m", "venv", "--system-site-packages", str(folder))
        offline = ["--no-index", "--find-links", wheels, "--ignore-installed", "--disable-pip-version-check"]
        command(str(folder / "bin/python"), "-m", "pip", "install", "--quiet", *offline, "nacre")
    (folder / "whole").touch()
    prune()
    return f"{release} installed"


def activate(target: str, ready_timeout_s: float) -> str:
    """Switch to a release. Whatever goes wrong after the switch brings the former one back, with its database."""
    unfinished = read_intent()
    if current() == target and unfinished is None:
        return f"{target} is active already"
    if not whole(target):
        raise FailedError(f"there is no release {target} here: `nacre-release list` lists them")
    if unfinished and unfinished.target != target:
        if target != unfinished.previous:  # who asks for that one by name has put its database right
            go_back(unfinished, ready_timeout_s)
        unfinished = None
    systemctl("stop", *UNITS)
    intent = unfinished or plan_or_go_on(target)
    try:
        switch(target)
        service("migrate")
        start()
        wait_ready(ready_timeout_s)
    except FailedError as failure:
        raise FailedError(f"{target} failed: {failure}. {roll_back(intent, ready_timeout_s)}") from failure
    INTENT.unlink()
    return f"{target} activated"


def plan_or_go_on(target: str) -> Intent:
    """The plan; where it cannot be made, what ran before runs on."""
    try:
        return plan(target, current())
    except FailedError:
        start()
        raise


def plan(target: str, previous: str | None) -> Intent:
    """Back up what the new release will change, and write down what is about to be done."""
    changes = previous is not None and migrations(previous) != migrations(target)
    if changes:
        UPGRADE_BACKUP.unlink(missing_ok=True)
        service("backup", str(UPGRADE_BACKUP))
    intent = Intent(target, previous, str(UPGRADE_BACKUP) if changes else None)
    draft = INTENT.with_suffix(".new")
    draft.write_text(json.dumps(asdict(intent)))
    draft.replace(INTENT)
    return intent


def roll_back(intent: Intent, ready_timeout_s: float) -> str:
    """Run the former release again, if there is one; a sentence on what came of it."""
    if intent.previous is None:
        INTENT.unlink()
        return f"Nothing ran before it: `journalctl -u {UNITS[0]} -u {UNITS[1]}` tells why"
    try:
        go_back(intent, ready_timeout_s)
    except FailedError as failure:
        return f"{intent.previous}, which ran before it, failed as well: {failure}"
    return f"{intent.previous} runs again"


def go_back(intent: Intent, ready_timeout_s: float) -> None:
    """Link, database and units as before. A database that the newer release has changed is put back first."""
    systemctl("stop", *UNITS)
    if intent.previous:
        switch(intent.previous)
        if intent.backup:
            service("restore", intent.backup)
        start()
        wait_ready(ready_timeout_s)
    INTENT.unlink()


def read_intent() -> Intent | None:
    return Intent(**json.loads(INTENT.read_text())) if INTENT.exists() else None


def whole(release: str) -> bool:
    return (RELEASES / release / "whole").exists()


def current() -> str | None:
    return LINK.readlink().name if LINK.is_symlink() else None


def switch(release: str) -> None:
    draft = HOME / "venv.new"
    draft.unlink(missing_ok=True)
    draft.symlink_to(RELEASES / release)
    draft.replace(LINK)


def migrations(release: str) -> list[str]:
    """Names of the schema changes that a release knows."""
    return sorted(path.name for path in (RELEASES / release).glob("lib/*/site-packages/service/db/migrations/*.py"))


def installed() -> list[str]:
    """The whole releases, the oldest first."""
    marks = sorted(RELEASES.glob("*/whole"), key=lambda mark: mark.stat().st_mtime)
    return [mark.parent.name for mark in marks]


def listing() -> list[str]:
    return [f"{'*' if release == current() else ' '} {release}" for release in installed()]


def prune() -> None:
    """Keep the newest releases and the active one."""
    for release in installed()[:-KEPT]:
        if release != current():
            shutil.rmtree(RELEASES / release)


def service(*words: str) -> None:
    """One of the active release's own commands, as the service's user."""
    command("/usr/local/sbin/nacre-service", *words)


def start() -> None:
    """The API comes after the worker: what a release accepts, it can also run."""
    for unit in UNITS:
        systemctl("start", unit)


def systemctl(*words: str) -> None:
    command("systemctl", *words)


def command(*words: str) -> None:
    done = subprocess.run(words, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise FailedError(f"`{' '.join(words)}` failed ({done.returncode}): {said}")


def wait_ready(timeout_s: float) -> str:
    """Until the API answers and a worker has made its round."""
    deadline = time.monotonic() + timeout_s
    while (why := unready()) is not None:
        if time.monotonic() > deadline:
            raise FailedError(f"not ready within {timeout_s:g} s: {why}")
        time.sleep(ASK_AGAIN_S)
    return "ready"


def unready() -> str | None:
    settings = tomllib.loads(SETTINGS.read_text())
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  what listens there is asked at the loopback
    address = everywhere.get(settings["listen_address"], settings["listen_address"])
    host = f"[{address}]" if ":" in address else address
    try:
        urllib.request.urlopen(f"http://{host}:{settings['listen_port']}/readyz", timeout=5).close()
    except urllib.error.HTTPError as refusal:
        return refusal.read(2000).decode(errors="replace")
    except OSError as error:
        return str(error)
    return None


if __name__ == "__main__":
    os.umask(0o022)  # the service's user reads what root installs
    sys.exit(main())
