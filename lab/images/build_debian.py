"""Builds the real Debian image: mmdebstrap's tree, put into a file system and a disk without a mount or a loop device.

Layout: boot record and GRUB's core below 1 MiB, then one ext4 partition, the last, so that cloud-init grows it. GRUB
reads /boot/grub/grub.cfg from it.
"""

import os
import shutil
from pathlib import Path

from lab.command import ALONE, run_logged
from lab.images import disk
from lab.images.cache import IMAGES, built, fingerprint
from lab.images.errors import ImageError
from lab.images.run import run
from lab.root import apt_options, apt_sources

IMAGE_BYTES = 2 * 1024 * disk.MIB
NEEDED_BYTES = 5 * 1024 * disk.MIB
GUEST_FILES = Path(__file__).parent / "debian"
PACKAGES = (
    "linux-image-cloud-amd64", "initramfs-tools", "systemd-sysv", "systemd-resolved", "udev", "dbus", "libpam-systemd",
    "cloud-init", "cloud-guest-utils", "fdisk", "e2fsprogs", "openssh-server", "qemu-guest-agent", "sudo", "netbase",
    "iproute2", "iputils-ping", "ca-certificates", "less", "procps",
)  # fmt: skip
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
# Timers that would compete with the guest's work, and units that cost boot time under emulation without any use here.
MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "e2scrub_reap.service", "getty@tty1.service",
    "systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount", "dev-hugepages.mount", "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount", "systemd-pstore.service",
)  # fmt: skip
GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "normal", "linux", "serial", "terminal", "echo", "ls", "cat")
PLACES = {
    "90-nacre.cfg": "etc/cloud/cloud.cfg.d/90-nacre.cfg",
    "grub.cfg": "boot/grub/grub.cfg",
    "60-nacre-scsi.rules": "etc/udev/rules.d/60-nacre-scsi.rules",
    "fstab": "etc/fstab",
    "modprobe.conf": "etc/modprobe.d/nacre.conf",
    "ds-identify.cfg": "etc/cloud/ds-identify.cfg",
    "seed-drive.conf": "etc/systemd/system/cloud-init-local.service.d/seed-drive.conf",
    "sshd.conf": "etc/ssh/sshd_config.d/nacre.conf",
}


def build(*, force: bool = False) -> Path:
    """The image's path, built when it is missing or its inputs changed (a newer package alone is no reason).

    Raises ImageError; mmdebstrap's own words are then in debian.log beside the image.
    """
    sources = [*GUEST_FILES.iterdir(), Path(__file__), Path(disk.__file__)]
    return built(IMAGES / "debian.qcow2", fingerprint(PACKAGES, sources), _make, force=force)


def _make(result: Path, scratch: Path) -> None:
    if shutil.disk_usage(scratch).free < NEEDED_BYTES:
        raise ImageError(f"{scratch.parent} has less than 5 GiB free: make room and run again.")
    os.umask(0o022)  # the guest's own files are made by this process: readable there, whoever builds
    tree = scratch / "tree"
    _bootstrap(tree, IMAGES / "debian.log")
    _settle(tree)
    raw = _assemble(tree, scratch)
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, result], why="The image cannot be converted to qcow2")


def _bootstrap(tree: Path, log: Path) -> None:
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    options += [f"--aptopt={line}" for line in apt_options(run(["apt-config", "dump"], why="apt's settings"))]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    command: list[str | Path] = [
        *ALONE, "mmdebstrap", "--variant=minbase", '--aptopt=APT::Install-Recommends "false"', *options,
        f"--essential-hook=sync-in '{_initramfs_settings(tree.parent)}' /",
        "--include=" + ",".join(PACKAGES), "bookworm", tree, *apt_sources(Path("/etc/apt")),
    ]  # fmt: skip
    if run_logged(command, log, environment=environment, folder=tree.parent, timeout_s=1800) != 0:
        words = [line for line in log.read_text(errors="replace").splitlines() if line.startswith(("E:", "Err:"))]
        raise ImageError(f"mmdebstrap failed ({(words or ['no message'])[0]}): see {log}, then run again.")


def _initramfs_settings(scratch: Path) -> Path:
    """A tree to lay over the new root before its kernel is configured: the initramfs only reaches the root disk."""
    folder = scratch / "early"
    settings = {
        "etc/initramfs-tools/conf.d/nacre.conf": "MODULES=list\n",
        "usr/share/initramfs-tools/modules.d/nacre": "virtio_pci\nvirtio_blk\n",  # ext4 is built in
    }
    for place, text in settings.items():
        (folder / place).parent.mkdir(parents=True)
        (folder / place).write_text(text)
    return folder


def _settle(tree: Path) -> None:
    """What makes the tree a machine image: its own files, no identity, networkd on, timers that would compete off."""
    for name, place in PLACES.items():
        (tree / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(GUEST_FILES / name, tree / place)
    for unit in MASKED:
        (tree / "etc/systemd/system" / unit).symlink_to("/dev/null")
    run(["systemctl", f"--root={tree}", "enable", "systemd-networkd", "systemd-resolved"], why="networkd stays off")
    for key in (tree / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (tree / "etc/machine-id").write_text("uninitialized\n")
    (tree / "etc/hostname").write_text("debian\n")


def _assemble(tree: Path, scratch: Path) -> Path:
    """The whole disk as a sparse raw file."""
    raw = scratch / "disk.raw"
    core = disk.grub_core("", GRUB_MODULES, folder=scratch)
    root = disk.Partition(disk.FIRST_PARTITION, IMAGE_BYTES - disk.FIRST_PARTITION, 0x83, active=True)
    with raw.open("wb") as image:
        image.write(disk.boot_area(core, [root], signature=0x6E616372))
        image.truncate(IMAGE_BYTES)
    disk.make_ext4(raw, root, label="nacre-root", content=tree)
    return raw
