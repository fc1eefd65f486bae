"""Watches of dead clients that would stay for ever.

When a client dies while its watch is on the way, the OSD (before the fix of https://tracker.ceph.com/issues/58120,
which Ceph 16 never got) writes the watch down without a timer: nothing ends it, and the device can never be removed.
The OSD sets the timer when it next loads the object, yet it keeps the last 64 objects of a placement group loaded.
So other names in the same group are touched until the device's header is dropped; a living watch keeps its object.
"""

from __future__ import annotations

import errno

import rados
import rbd

from storage.ceph.errors import error_for

_OBJECTS = 200  # osd_pg_object_context_cache_count is 64, unless somebody raised it


def let_dead_ones_expire(ioctx: rados.Ioctx, rbd_name: str) -> None:
    """Have the OSD look anew at who watches: what is dead is gone 30 s later. Changes nothing that is stored."""
    try:
        with rbd.Image(ioctx, rbd_name, read_only=True) as device:
            header = f"rbd_header.{device.id()}"
    except rbd.ImageNotFound:
        return  # no header, hence no watch
    with ioctx.dup() as group:  # a locator key is the ioctx's own: the shared one must not get it
        group.set_locator_key(header)  # names under one key share one placement group
        group.set_osdmap_full_try()
        removals = [group.aio_remove(f"nacre.none.{number}") for number in range(_OBJECTS)]
        for removal in removals:  # removing what is not there loads it all the same
            removal.wait_for_complete()
            code = removal.get_return_value()
            if code not in (0, -errno.ENOENT):
                raise error_for(-code, f"look anew at the watchers of {rbd_name}")
