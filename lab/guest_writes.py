"""What a guest's disk does, without the guest: writes at a fixed pace to one RBD device, and how long each took.

    ip netns exec nl-demo-host4 python -m lab.guest_writes CONF KEYRING DEVICE SECONDS PER_SECOND SIZE

in the network of the host where the guest would run, so that its writes take the way of QEMU's. The pace is kept
whatever the answers take (an open loop): a write's time runs from when it was due. Prints one number of seconds a line.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
import time
from contextlib import ExitStack

import rados
import rbd

DEVICE_BYTES = 64 << 20
WARM_UP, WARM_UP_BYTES = 16, 512  # writes that make the objects and sessions, not counted
QUEUE_DEPTH = 32  # as many as a guest has under way; those behind are late already
SILENCE_S = 60


def main(conf: str, keyring: str, device: str, *numbers: str) -> None:
    """Make the device, write, remove it."""
    seconds, per_second, size = map(int, numbers)
    settings = {"keyring": keyring, "rbd_cache": "false"}
    with rados.Rados(conffile=conf, name="client.nacre", conf=settings) as cluster, cluster.open_ioctx("vms") as ioctx:
        with ExitStack() as after:
            rbd.RBD().create(ioctx, device, DEVICE_BYTES, old_format=False)
            after.callback(rbd.RBD().remove, ioctx, device)
            with rbd.Image(ioctx, device) as image:
                took_s = _written(image, seconds * per_second, 1 / per_second, os.urandom(size))
        sys.stdout.writelines(f"{each:.5f}\n" for each in took_s)
        sys.stdout.flush()
        # librbd 16 now and then aborts a process that has used it and disconnects: it is left without a farewell.
        os._exit(0)


def _written(image: rbd.Image, count: int, apart_s: float, data: bytes) -> list[float]:
    for number in range(WARM_UP):
        image.write(data[:WARM_UP_BYTES], number * (DEVICE_BYTES // WARM_UP))
    took_s: list[float] = []
    queue, began = threading.Semaphore(QUEUE_DEPTH), time.monotonic()
    for number in range(count):
        due = began + number * apart_s
        time.sleep(max(0.0, due - time.monotonic()))
        _take(queue)

        def done(_completion: object, due: float = due) -> None:
            took_s.append(time.monotonic() - due)
            queue.release()

        image.aio_write(data, secrets.randbelow(DEVICE_BYTES // len(data)) * len(data), done)
    for _ in range(QUEUE_DEPTH):
        _take(queue)
    return took_s


def _take(queue: threading.Semaphore) -> None:
    if not queue.acquire(timeout=SILENCE_S):
        raise TimeoutError(f"no write ended within {SILENCE_S} s")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the device is removed all the same
    main(*sys.argv[1:])
