"""The tiny guest that tells whether a host can really run virtual machines."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from dataclasses import dataclass

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: probe_guest
short_description: Keep a kernel and an initramfs that boot, say so and power off
description:
  - Copies this host's newest Debian kernel to C(vmlinuz) and packs C(initrd) from busybox and an C(/init) that prints
    C(nacre-probe booted) on the first serial port (with a colon after the first word) and powers off.
options:
  folder: {type: path, required: true, description: Where C(vmlinuz) and C(initrd) go.}
  busybox: {type: path, default: /bin/busybox, description: A statically linked busybox.}
author: Nacre
"""

EXAMPLES = r"""
- name: Keep the probe guest
  probe_guest: {folder: /var/lib/nacre/probe}
"""

RETURN = r"""
kernel: {description: The kernel that was taken., type: str, returned: always}
"""

INIT = b"""#!/bin/busybox sh
echo nacre-probe: booted > /dev/ttyS0
exec /bin/busybox poweroff -f
"""
FOLDER, PROGRAM, DEVICE = 0o040755, 0o100755, 0o020600


@dataclass(frozen=True)
class Entry:
    """One member of the archive; `device` is (major, minor) of a device node."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def packed(entry: Entry, inode: int) -> bytes:
    """One member in the kernel's "newc" format (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    name = entry.name.encode() + b"\0"
    fields = (inode, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return padded(header + name) + padded(entry.data)


def initramfs(busybox: bytes) -> bytes:
    """The same bytes for the same busybox, so that a second run changes nothing."""
    members = (
        Entry("bin", FOLDER),
        Entry("dev", FOLDER),
        Entry("bin/busybox", PROGRAM, busybox),
        Entry("dev/console", DEVICE, device=(5, 1)),
        Entry("dev/ttyS0", DEVICE, device=(4, 64)),
        Entry("init", PROGRAM, INIT),
        Entry("TRAILER!!!", 0),
    )
    return b"".join(packed(entry, inode) for inode, entry in enumerate(members, start=1))


def newest_kernel() -> str:
    """Path of the newest installed kernel, by the numbers in its name; ValueError when there is none."""
    kernels = glob.glob("/boot/vmlinuz-*")
    if not kernels:
        raise ValueError("no kernel in /boot: install linux-image-amd64")
    return max(kernels, key=lambda path: [int(number) for number in re.findall(r"\d+", path)])


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def put(path: str, data: bytes, check: bool) -> bool:
    """Write the file when it differs, in one step; whether it differed."""
    if os.path.exists(path) and read(path) == data:
        return False
    if not check:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        with open(f"{path}.new", "wb") as file:
            file.write(data)
        os.replace(f"{path}.new", path)
    return True


def main() -> None:
    spec = {"folder": {"type": "path", "required": True}, "busybox": {"type": "path", "default": "/bin/busybox"}}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    folder = module.params["folder"]
    try:
        kernel = newest_kernel()
        wanted = {"vmlinuz": read(kernel), "initrd": initramfs(read(module.params["busybox"]))}
        changed = [name for name, data in wanted.items() if put(os.path.join(folder, name), data, module.check_mode)]
    except (OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    after = "".join(f"{folder}/{name} sha256 {hashlib.sha256(wanted[name]).hexdigest()}\n" for name in changed)
    module.exit_json(changed=bool(changed), kernel=kernel, diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
