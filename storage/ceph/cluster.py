"""Connection to a Ceph cluster, opened when first needed, one per process.

Every call has a deadline. Its cephx user needs (Ceph 16.2; `images` and `vms` stand for the pools in use):

    mon 'profile rbd'
    osd 'profile rbd pool=images, profile rbd pool=vms'

That includes all facts about pools, OSDs and hosts. There is no mgr capability: every command goes to a monitor, which
forwards those of the manager. If the manager is down, a command then ends at the monitor deadline; one sent to the
manager directly would have no effective deadline.
"""

from __future__ import annotations

import ctypes
import json
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import rados
import rbd

from storage.ceph import devices
from storage.ceph.errors import error_for, translated
from storage.errors import NotFoundError, StorageError, UnreachableError


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines in seconds, after which calls raise UnreachableError.

    `io_s` is for one operation on an OSD. An interrupted call waits for it again while it closes what it had open: a
    write ends after about five times `io_s`, an import after about twelve times.
    """

    connect_s: int = 5
    command_s: int = 5
    io_s: int = 15


@dataclass(slots=True)
class _Link:
    """An open connection and its pools; threads may share both."""

    handle: rados.Rados
    ioctxs: dict[str, rados.Ioctx] = field(default_factory=dict)


class Cluster:
    """Pools and commands of a cluster, for any threads, before and after a fork."""

    def __init__(self, conf_path: str, keyring_path: str, client_name: str, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self._files = (conf_path, keyring_path)
        self._client_name = client_name
        self._lock = threading.Lock()
        self._link: _Link | None = None
        self._failure: StorageError | None = None
        self._failures = 0
        _clusters.add(self)

    def ioctx(self, pool: str) -> rados.Ioctx:
        """Return the open pool. Raises NotFoundError, DeniedError, UnreachableError."""
        link = self._connected()
        if pool not in link.ioctxs:
            link.ioctxs.setdefault(pool, self._open_pool(link, pool))
        return link.ioctxs[pool]

    def ask(self, prefix: str, **arguments: str | list[str]) -> Any:
        """Run a cluster command and return its parsed answer. Raises UnreachableError."""
        command = json.dumps({"prefix": prefix, "format": "json", **arguments})
        handle = self._connected().handle
        with translated(prefix):
            code, answer, message = handle.mon_command(command, b"")
        if code < 0:
            raise error_for(-code, f"{prefix}: {message or os.strerror(-code)}")
        try:
            return json.loads(answer)
        except ValueError as error:
            raise StorageError(f"{prefix}: the answer is no JSON: {error}") from error

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Translate errors inside; drop a connection that the cluster has blocklisted."""
        try:
            with translated(what):
                yield
        except UnreachableError as error:
            if isinstance(error.__cause__, rados.ConnectionShutdown | rbd.ConnectionShutdown):
                self._link = None
            raise

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        with self._lock:
            link, self._link = self._link, None
        if link:
            for ioctx in link.ioctxs.values():
                ioctx.close()
            link.handle.shutdown()

    def _open_pool(self, link: _Link, pool: str) -> rados.Ioctx:
        # Check first: opening a pool that does not exist waits for a newer map without a deadline.
        if pool not in {each["poolname"] for each in self.ask("osd lspools")}:
            raise NotFoundError(f"the cluster has no pool {pool}")
        with translated(f"open pool {pool}"):
            ioctx = link.handle.open_ioctx(pool)
        # Then on a full pool writes fail at once instead of waiting for space, and removals work.
        ioctx.set_osdmap_full_try()
        with translated(f"open pool {pool}"):
            devices.make_trash(ioctx)
        return ioctx

    def _connected(self) -> _Link:
        failures_seen = self._failures
        if link := self._link:
            return link
        with self._lock:
            if link := self._link:  # opened by the previous thread
                return link
            if self._failure and self._failures > failures_seen:
                # The attempt that this thread waited for failed: another one would double its deadline.
                raise type(self._failure)(str(self._failure)) from self._failure
            return self._connect()

    def _connect(self) -> _Link:
        try:
            self._link = _Link(self._open())
        except StorageError as error:
            self._failure, self._failures = error, self._failures + 1
            raise
        return self._link

    def _open(self) -> rados.Rados:
        conf, keyring = self._files
        for path in self._files:
            if not os.access(path, os.R_OK):
                raise StorageError(f"connect to Ceph: {path} is missing or not readable")
        limits = self.timeouts
        with translated(f"connect to the Ceph cluster of {conf} as {self._client_name}"):
            settings = {
                "keyring": keyring,
                "client_mount_timeout": str(limits.connect_s),
                "rados_mon_op_timeout": str(limits.command_s),
                "rados_osd_op_timeout": str(limits.io_s),
                "rbd_default_clone_format": "2",
                "rbd_cache": "false",  # a write that returned is on the disks: close() can lose nothing
            }
            handle = rados.Rados(conffile=conf, name=self._client_name, conf=settings)
            handle.connect()
        return handle

    def _abandon(self) -> None:
        # The parent's handle has no threads in a child: even its destructor would hang, so it must never run.
        if self._link:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._link))
        self._lock = threading.Lock()  # a thread of the parent may hold the old one
        self._link = None


_clusters: weakref.WeakSet[Cluster] = weakref.WeakSet()


def _abandon_inherited() -> None:
    for cluster in tuple(_clusters):
        cluster._abandon()


os.register_at_fork(after_in_child=_abandon_inherited)
