"""Builds the small image: Debian's cloud kernel, and busybox with dropbear in an initramfs; no root file system.

Layout in bytes: boot record and GRUB below 1 MiB, kernel and initramfs after it (GRUB reads them by sector numbers), an
ext4 partition for host keys and homes at DATA_OFFSET, then the stamp ring (stamps.py). Both begin on a 4 MiB boundary,
as RBD's objects do.
"""

import re
import string
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.images import cpio, disk, packages, stamps
from lab.images.cache import IMAGES, PACKAGES, built, fingerprint
from lab.images.errors import ImageError
from lab.images.run import run

DATA_OFFSET = 32 * disk.MIB
DATA_BYTES = 8 * disk.MIB
IMAGE_BYTES = stamps.RING_OFFSET + stamps.RING_BYTES
CODE = tuple(Path(__file__).with_name(name) for name in ("build_mini.py", "cpio.py", "disk.py", "stamps.py"))
GUEST_FILES = Path(__file__).parent / "mini"
KERNEL_PACKAGE = "linux-image-cloud-amd64"
PACKAGE_NAMES = (
    "busybox-static", "dropbear-bin", "libc6", "libcrypt1", "libtomcrypt1", "libtommath1", "libgmp10", "zlib1g",
)  # fmt: skip
GRUB_MODULES = ("biosdisk", "linux")
# Quiet, and without what costs boot time under emulation: address randomisation, CPU bug work-arounds, further UARTs.
COMMAND_LINE = (
    "console=ttyS0 quiet loglevel=3 nokaslr mitigations=off 8250.nr_uarts=1 random.trust_cpu=on "
    "cryptomgr.notests memhp_default_state=online swiotlb=512 panic=10"
)
# Debian's cloud kernel has ext4 built in, these as modules, and no AHCI at all: a CD drive hangs on virtio-scsi or IDE.
MODULES = (
    "virtio_pci", "virtio_blk", "virtio_net", "virtio_balloon", "virtio-rng", "evdev", "button", "isofs", "sr_mod",
    "virtio_scsi",
)  # fmt: skip
MODULES_IDE = ("ata_piix",)


def build(*, force: bool = False) -> Path:
    """The image's path, built when it is missing or its inputs changed (a newer package alone is no reason).

    Raises ImageError.
    """
    stamp = fingerprint((KERNEL_PACKAGE, *PACKAGE_NAMES), [*GUEST_FILES.iterdir(), *CODE])
    return built(IMAGES / "mini.raw", stamp, _make, force=force)


def _make(result: Path, scratch: Path) -> None:
    meta, *others = packages.find(KERNEL_PACKAGE, *PACKAGE_NAMES)
    kernel = packages.find(packages.kernel_of(meta))
    tree = scratch / "tree"
    packages.unpack((*kernel, *others), store=PACKAGES, into=tree)
    initramfs = cpio.archive(_entries(tree))
    _assemble(result, next(tree.glob("boot/vmlinuz-*")).read_bytes(), initramfs, scratch)


def _entries(tree: Path) -> tuple[cpio.Entry, ...]:
    return (*_skeleton(), *_tools(tree), *_sshd(tree), *_modules(tree), *_guest_files())


def _skeleton() -> tuple[cpio.Entry, ...]:
    folders = (cpio.folder(name) for name in ("dev", "proc", "sys", "run", "data", "mnt", "etc", "var/log"))
    links = {"sbin": "bin", "usr/bin": "../bin", "usr/sbin": "../bin", "home": "data/home", "var/run": "../run"}
    return (
        *folders,
        cpio.folder("tmp", 0o1777),
        cpio.folder("root", 0o700),
        cpio.character_device("dev/console", 5, 1),
        *(cpio.link(name, target) for name, target in links.items()),
        cpio.file("etc/passwd", b"root:*:0:0:root:/root:/bin/sh\n"),
        cpio.file("etc/group", b"root:x:0:\n"),
        cpio.file("etc/shells", b"/bin/sh\n"),
        cpio.file("etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n"),
        cpio.file("etc/profile", b"export PATH=/bin\n"),
    )


def _tools(tree: Path) -> tuple[cpio.Entry, ...]:
    busybox = tree / "bin/busybox"
    applets = run([busybox, "--list"], why="busybox does not say what it can do").split()
    # The set-user-id bit is for su; busybox drops it in every other applet.
    program = cpio.file("bin/busybox", busybox.read_bytes(), 0o4755)
    return (program, *(cpio.link(f"bin/{name}", "busybox") for name in applets if name != "busybox"))


def _sshd(tree: Path) -> tuple[cpio.Entry, ...]:
    """dropbear and the libraries it asks for, found by its own dynamic loader inside the unpacked packages."""
    loader, folder = tree / "lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu"
    search = f"{tree / folder}:{tree / 'usr' / folder}"
    programs = {"bin/dropbear": tree / "usr/sbin/dropbear", "bin/dropbearkey": tree / "usr/bin/dropbearkey"}
    found = {f"lib64/{loader.name}": _inside(tree, loader)}
    for program in programs.values():
        ask: list[str | Path] = [_inside(tree, loader), "--library-path", search, "--list", program]
        lines = run(ask, why="dropbear's libraries are not all there")
        for words in (line.split() for line in lines.splitlines() if "=>" in line):
            found[f"{folder}/{words[0]}"] = Path(words[2])
    strays = [path for path in found.values() if not path.is_relative_to(tree)]
    if strays:
        raise ImageError(f"A library of dropbear is in none of the image's packages: {strays[0].name}.")
    return tuple(cpio.file(name, path.read_bytes(), 0o755) for name, path in (programs | found).items())


def _inside(tree: Path, path: Path) -> Path:
    """The file behind an absolute link of a package, as seen inside the unpacked tree."""
    absolute = path.is_symlink() and path.readlink().is_absolute()
    return tree / path.readlink().relative_to("/") if absolute else path


def _module_files(tree: Path) -> dict[str, Path]:
    return {path.stem: path for path in tree.glob("lib/modules/*/kernel/**/*.ko")}


def _in_order(names: Sequence[str], files: Mapping[str, Path]) -> list[str]:
    """`names` and all they depend on, each after its needs, as the modules themselves say."""
    order: list[str] = []
    for name in names:
        if name not in files:
            raise ImageError(f"The kernel package has no module {name}: correct the list in lab/images/build_mini.py.")
        found = re.search(rb"\0depends=([^\0]*)\0", files[name].read_bytes())
        needs = found[1].decode().split(",") if found and found[1] else []
        order += [module for module in (*_in_order(needs, files), name) if module not in order]
    return order


def _modules(tree: Path) -> tuple[cpio.Entry, ...]:
    files = _module_files(tree)
    loaded = _in_order(MODULES, files)
    for_ide = [name for name in _in_order(MODULES_IDE, files) if name not in loaded]
    lists = f"MODULES='{' '.join(loaded)}'\nMODULES_IDE='{' '.join(for_ide)}'\n"
    modules = (cpio.file(f"lib/modules/{name}.ko", files[name].read_bytes()) for name in loaded + for_ide)
    return (cpio.file("lib/nacre/modules", lists.encode()), *modules)


def _guest_files() -> tuple[cpio.Entry, ...]:
    settings = {"RING_OFFSET": stamps.RING_OFFSET, "SLOTS": stamps.SLOTS, "BLOCK_BYTES": stamps.BLOCK_BYTES}
    config = "".join(f"{name}={value}\n" for name, value in settings.items())
    places = {"init": "init", "inittab": "etc/inittab", "sudo": "bin/sudo"}
    programs = [path for path in GUEST_FILES.iterdir() if path.name != "grub.cfg.in"]
    placed = (cpio.file(places.get(path.name, f"lib/nacre/{path.name}"), path.read_bytes(), 0o755) for path in programs)
    return (cpio.file("lib/nacre/config", config.encode()), *placed)


def _assemble(result: Path, kernel: bytes, initramfs: bytes, scratch: Path) -> None:
    kernel_at = disk.FIRST_PARTITION // disk.SECTOR
    initramfs_at = kernel_at + disk.sectors(kernel)
    if (initramfs_at + disk.sectors(initramfs)) * disk.SECTOR > DATA_OFFSET:
        raise ImageError(
            "Kernel and initramfs have outgrown their place: move DATA_OFFSET in lab/images/build_mini.py."
        )
    menu = string.Template((GUEST_FILES / "grub.cfg.in").read_text()).substitute(
        kernel=f"{kernel_at}+{disk.sectors(kernel)}", command_line=COMMAND_LINE,
        initramfs=f"{initramfs_at}+{disk.sectors(initramfs)}",
    )  # fmt: skip
    core = disk.grub_core(menu, GRUB_MODULES, folder=scratch)
    data = disk.Partition(DATA_OFFSET, DATA_BYTES, 0x83)
    with result.open("wb") as image:
        image.write(disk.boot_area(core, [data], signature=0x6E616372))
        for place, content in ((kernel_at, kernel), (initramfs_at, initramfs)):
            image.seek(place * disk.SECTOR)
            image.write(content)
        image.truncate(IMAGE_BYTES)
    disk.make_ext4(result, data, label="data")
