"""The cached machine root: one Debian tree, built once, the lower layer below every machine of every lab.

A root is named by the hash of what it is made from. A lab stays on the root it was made from, since its machines'
upper layers only make sense over that one.
"""

import hashlib
import json
import re
import shutil
from pathlib import Path

from lab import mounts
from lab.command import ALONE, run, run_logged
from lab.errors import LabError

PACKAGES = (
    "systemd", "systemd-sysv", "udev", "dbus", "openssh-server", "python3", "iproute2", "nftables", "procps", "kmod",
    "ca-certificates", "openssl", "cpio", "zstd", "busybox-static", "linux-image-cloud-amd64",
    "ceph-mon", "ceph-mgr", "ceph-mgr-modules-core", "ceph-osd", "ceph-common",
    "qemu-system-x86", "qemu-block-extra", "qemu-utils", "seabios", "ipxe-qemu",
    "libvirt-daemon-system", "libvirt-daemon-driver-qemu", "libvirt-clients", "ovmf",
    "python3-venv", "python3-rados", "python3-rbd", "python3-libvirt", "bubblewrap", "bzip2", "xz-utils",
)  # fmt: skip
LEFT_OUT = (
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    "/lib/modules/*/kernel/*",
)
# Timers and services of a server that only cost time, or do harm, in a machine without hardware of its own.
MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "fstrim.timer", "smartmontools.service", "nvmf-autoconnect.service", "nvmefc-boot-connections.service",
    "lvm2-monitor.service", "lvm2-lvmpolld.socket", "blk-availability.service", "dm-event.socket", "rbdmap.service",
    "systemd-pstore.service", "getty@tty1.service", "console-getty.service", "systemd-networkd-wait-online.service",
    "systemd-udevd.service", "systemd-udev-trigger.service", "dev-hugepages.mount", "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount", "sys-kernel-config.mount", "modprobe@.service",
)  # fmt: skip
SSHD = (
    "PermitRootLogin prohibit-password\nPasswordAuthentication no\nUseDNS no\nHostKey /etc/ssh/ssh_host_ed25519_key\n"
)
NEEDED_BYTES = 3 * 2**30


def fingerprint() -> str:
    """Eight hexadecimal digits that change with everything a root is made from."""
    parts = json.dumps([PACKAGES, LEFT_OUT, MASKED, SSHD, 1])
    return hashlib.sha256(parts.encode()).hexdigest()[:8]


def root_path(base: Path, mark: str) -> Path:
    """Where the root with this fingerprint lies."""
    return base / "cache" / f"root-{mark}"


def ensure_root(base: Path, mark: str) -> bool:
    """Build the root with today's fingerprint unless it is there; True when it was built now."""
    final = root_path(base, mark)
    if final.is_dir():
        return False
    if mark != fingerprint():
        raise LabError(f"The machine root {final} of this lab is gone: run `make down PURGE=1`, then `make up`.")
    draft = final.with_suffix(".new")
    discard(draft)
    draft.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(draft.parent).free < NEEDED_BYTES:
        raise LabError(f"{draft.parent} has less than 3 GiB free: make room, then run `make up` again.")
    _build(draft)
    _settle(draft)
    draft.rename(final)
    return True


def discard(folder: Path) -> None:
    """Delete a tree without ever following a mount out of it."""
    if folder.exists():
        mounts.unmount_below(folder)
        run(["rm", "-rf", "--one-file-system", folder], timeout_s=300)


def _build(target: Path) -> None:
    log = target.parent / "root.log"
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    options += [f"--aptopt={line}" for line in apt_options(run(["apt-config", "dump"]))]
    command: list[str | Path] = [
        *ALONE, "mmdebstrap", "--variant=minbase", "--aptopt=APT::Install-Recommends \"false\"", *options,
        "--include=" + ",".join(PACKAGES), "bookworm", target, *apt_sources(Path("/etc/apt")),
    ]  # fmt: skip
    # The kernel is here for its vmlinuz only: no initial RAM disk of it is ever booted.
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "INITRD": "No", "LC_ALL": "C.UTF-8"}
    if run_logged(command, log, environment=environment, folder=target.parent, timeout_s=1800) != 0:
        why = first_error(log.read_text(errors="replace"))
        raise LabError(f"Building the machine root failed ({why}): see {log}, then run `make up` again.")


def first_error(log: str) -> str:
    """What went wrong first in the output of mmdebstrap; apt gives its reason on the line after `Err:`."""
    lines = [line.strip() for line in log.splitlines() if line.strip()] or ["no output"]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("Err:"):
            return f"{line} {following}".strip()
        if line.startswith("E:"):
            return line
    return lines[-1]


def apt_sources(folder: Path) -> list[Path]:
    """Those of the computer's own apt source files, in either format, that offer Debian 12."""
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    return [f for f in files if f.suffix in {".list", ".sources"} and f.is_file() and _offers_debian(f.read_text())]


def _offers_debian(text: str) -> bool:
    """True when a source offers Debian 12 itself and not only some vendor's packages."""
    active = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    named = re.search(r"(^deb\b.*\s|^Suites:.*\b)bookworm\b", active, re.MULTILINE)
    return named is not None and "debian" in active.lower()


def apt_options(dump: str) -> list[str]:
    """Those of the computer's apt settings that decide whether a download works at all (proxies, dates of a mirror)."""
    wanted = re.compile(r"Acquire::(https?::Proxy|Check-Valid-Until|Check-Date)\b.* \".+\";$")
    return [line.rstrip(";") for line in dump.splitlines() if wanted.match(line)]


def _settle(root: Path) -> None:
    for unit in MASKED:
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    wants = root / "etc/systemd/system/multi-user.target.wants"
    (wants / "systemd-networkd.service").symlink_to("/lib/systemd/system/systemd-networkd.service")
    (root / "etc/ssh/sshd_config.d/nacre-lab.conf").write_text(SSHD)
    # Each machine gets its own identity; libvirt's default network has no use here.
    for leftover in (*(root / "etc/ssh").glob("ssh_host_*"), root / "etc/libvirt/qemu/networks/autostart/default.xml"):
        leftover.unlink(missing_ok=True)
    (root / "etc/machine-id").write_text("")


def group_id(root: Path, name: str) -> int:
    """Number of a group inside the root."""
    for line in (root / "etc/group").read_text().splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2])
    raise LabError(f"The machine root has no group {name}: run `make down PURGE=1`, then `make up`.")
