"""A host's way to the Ceph monitors: one connection, JSON commands, and waiting for health."""

from __future__ import annotations

import glob
import json
import os
import socket
import time
from typing import Any

import rados

MON_FOLDER = "/var/lib/ceph/mon"
OSD_FOLDER = "/var/lib/ceph/osd"
POLL_S = 0.5  # the monitors offer no event for "healthy": ask, but not often


class CephError(Exception):
    """A monitor that cannot be reached or that refuses a command; the text says which."""


class Mon:
    """A connection to the monitors as the strongest identity this host holds.

    A monitor's host has the `mon.` key, which may do everything; other hosts have their OSDs' keys, enough to read the
    status. No administrator's keyring is needed anywhere.
    """

    def __init__(self, timeout_s: int) -> None:
        name, keyring = identity()
        options = {"keyring": keyring, "client_mount_timeout": str(timeout_s), "rados_mon_op_timeout": str(timeout_s)}
        self._cluster = rados.Rados(name=name, conffile="/etc/ceph/ceph.conf", conf=options)
        try:
            self._cluster.connect()
        except rados.Error as error:
            raise CephError(f"no monitor quorum within {timeout_s} s: {error}") from error

    def ask(self, prefix: str, **arguments: Any) -> Any:
        """One command's JSON answer (None when it is empty); CephError when the monitors refuse it."""
        command = json.dumps({"prefix": prefix, "format": "json", **arguments})
        code, output, message = self._cluster.mon_command(command, b"")
        if code:
            raise CephError(f"ceph {prefix}: {message or os.strerror(-code)}")
        return json.loads(output) if output.strip() else None

    def close(self) -> None:
        self._cluster.shutdown()


def identity() -> tuple[str, str]:
    """Name and keyring path to speak as: `mon.` where a monitor lives, else one of this host's OSDs."""
    mon = f"{MON_FOLDER}/ceph-{socket.gethostname()}/keyring"
    if os.path.exists(mon):
        return "mon.", mon
    for keyring in sorted(glob.glob(f"{OSD_FOLDER}/ceph-*/keyring")):
        return f"osd.{os.path.dirname(keyring).rpartition('-')[2]}", keyring
    raise CephError("this host has neither a monitor nor an OSD")


def unhealthy(status: dict[str, Any], osds: int) -> list[str]:
    """Why the cluster is not yet well, empty when it is; `osds` is how many must be up."""
    reasons = [f"{name}: {check['summary']['message']}" for name, check in status["health"]["checks"].items()]
    if not reasons and status["health"]["status"] != "HEALTH_OK":
        reasons = [status["health"]["status"]]
    if len(status["quorum"]) < status["monmap"]["num_mons"]:
        reasons.append(f"{len(status['quorum'])} of {status['monmap']['num_mons']} monitors are in the quorum")
    if status["osdmap"]["num_up_osds"] < osds:
        reasons.append(f"{status['osdmap']['num_up_osds']} of {osds} OSDs are up")
    if not status["mgrmap"]["available"]:
        reasons.append("no active manager")
    groups, states = status["pgmap"]["num_pgs"], status["pgmap"].get("pgs_by_state", [])
    clean = sum(state["count"] for state in states if state["state_name"].startswith("active+clean"))
    return reasons if clean == groups else [*reasons, f"{clean} of {groups} placement groups are active and clean"]


def stale(mon: Mon) -> int:
    """How many placement groups have not reported since one of their OSDs last came up.

    The status alone repeats what was true before a restart until the OSDs report again; this asks the manager, which
    forgets at its own restart.
    """
    came_up = {osd["osd"]: osd["up_from"] for osd in mon.ask("osd dump")["osds"]}
    groups = mon.ask("pg dump", dumpcontents=["pgs"])["pg_stats"]
    since = [max((came_up[osd] for osd in group["acting"] if osd in came_up), default=0) for group in groups]
    return sum(group["reported_epoch"] < epoch for group, epoch in zip(groups, since, strict=True))


def wait_until_well(mon: Mon, osds: int, timeout_s: int) -> float:
    """Seconds it took until HEALTH_OK with `osds` OSDs up; CephError with the reasons left at the deadline."""
    began = time.monotonic()
    while True:
        reasons = unhealthy(mon.ask("status"), osds)
        if not reasons:
            left = stale(mon)
            if not left:
                return time.monotonic() - began
            reasons = [f"{left} placement groups have not reported since an OSD came up"]
        if time.monotonic() - began > timeout_s:
            raise CephError(f"not healthy after {timeout_s} s: " + "; ".join(reasons))
        time.sleep(POLL_S)
