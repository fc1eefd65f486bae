"""Removal of stale watches of killed clients, which would stay for ever.

If a client is killed while its watch is in flight, the OSD (before the fix of https://tracker.ceph.com/issues/58120,
which Ceph 16 never got) records the watch without a timer: nothing ends it, and the device can never be removed. The
OSD sets the timer when it next loads the object, but it keeps the last 64 objects of a placement group loaded. So
other names in the same group are accessed until the device's header is unloaded; a valid watch keeps its object.
"""

from __future__ import annotations

import errno

import rados
import rbd

from storage.ceph.errors import error_for

_OBJECTS = 200  # more than the default of osd_pg_object_context_cache_count, 64


def let_dead_ones_expire(ioctx: rados.Ioctx, rbd_name: str) -> None:
    """Make the OSD reload the device's watches: stale ones expire 30 s later.

    Changes no stored data.
    """
    try:
        with rbd.Image(ioctx, rbd_name, read_only=True) as device:
            header = f"rbd_header.{device.id()}"
    except rbd.ImageNotFound:
        return  # no header, hence no watch
    with ioctx.dup() as group:  # a locator key is the ioctx's own: the shared one must not get it
        group.set_locator_key(header)  # names under one key share one placement group
        group.set_osdmap_full_try()
        removals = [group.aio_remove(f"nacre.none.{number}") for number in range(_OBJECTS)]
        for removal in removals:  # removing a missing object loads it all the same
            removal.wait_for_complete()
            code = removal.get_return_value()
            if code not in (0, -errno.ENOENT):
                raise error_for(-code, f"reload the watchers of {rbd_name}")
