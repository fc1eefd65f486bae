"""libvirt's event loop in a thread, started before the first open.

Keepalive and events need it.
"""

from __future__ import annotations

import os
import threading

import libvirt

_starting = threading.Lock()
_owner: int | None = None


def ensure_running() -> None:
    """Start the loop once per process.

    libvirt's loop does not survive a fork: raises RuntimeError in a forked child.
    """
    global _owner
    with _starting:
        if _owner == os.getpid():
            return
        if _owner is not None:
            raise RuntimeError("libvirt was used before this process was forked: connect only after the fork")
        libvirt.registerErrorHandler(lambda _context, _error: None, None)  # errors are raised: do not also print them
        libvirt.virEventRegisterDefaultImpl()
        _owner = os.getpid()
        threading.Thread(target=_loop, name="libvirt-events", daemon=True).start()


def _loop() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
