"""What systemd says about units, many of them in one call."""

from __future__ import annotations

import glob
import os
import re
import time
from dataclasses import dataclass

from ansible.module_utils.basic import AnsibleModule

PROPERTIES = "Id,LoadState,ActiveState,UnitFileState,NeedDaemonReload,DropInPaths,ActiveEnterTimestampMonotonic"
AT_BOOT = ("enabled", "enabled-runtime", "static", "alias", "indirect", "generated")


@dataclass(frozen=True)
class Unit:
    """One unit; `since_s` is when it last became active, in seconds since 1970 (0: never)."""

    loaded: bool
    masked: bool
    runs: bool
    at_boot: bool
    stale: bool
    since_s: float


def drop_ins(name: str) -> set[str]:
    """The administrator's drop-in files for a unit and for its template."""
    template = re.sub(r"@.+\.", "@.", name)
    return {path for owner in {name, template} for path in glob.glob(f"/etc/systemd/system/{owner}.d/*.conf")}


def parsed(name: str, block: dict[str, str]) -> Unit:
    loaded = block["LoadState"] != "not-found"
    # systemd overlooks drop-in folders that are younger than its last look at the disk.
    overlooked = not drop_ins(name) <= set(block["DropInPaths"].split())
    entered_us = int(block["ActiveEnterTimestampMonotonic"])
    return Unit(
        loaded=loaded,
        masked=block["LoadState"] == "masked",
        runs=block["ActiveState"] in ("active", "activating", "reloading"),
        at_boot=block["UnitFileState"] in AT_BOOT,
        stale=block["NeedDaemonReload"] == "yes" or not loaded or overlooked,
        since_s=time.time() - time.monotonic() + entered_us / 1e6 if entered_us else 0.0,
    )


def show(module: AnsibleModule, *patterns: str) -> dict[str, Unit]:
    """Units by name; a pattern stands for the loaded units that match it."""
    names = [pattern for pattern in patterns if "*" not in pattern]
    _, output, _ = module.run_command(["systemctl", "show", f"--property={PROPERTIES}", "--", *patterns], check_rc=True)
    blocks = [
        dict(line.split("=", 1) for line in block.splitlines()) for block in output.split("\n\n") if block.strip()
    ]
    if len(names) == len(patterns):  # answered in the order asked, and an alias under its own name
        return {name: parsed(name, block) for name, block in zip(names, blocks, strict=True)}
    return {block["Id"]: parsed(block["Id"], block) for block in blocks}


def written_s(paths: list[str]) -> float:
    """When the newest of the files that exist was written, in seconds since 1970; 0 when none exists."""
    return max((os.stat(path).st_mtime for path in paths if os.path.exists(path)), default=0.0)
