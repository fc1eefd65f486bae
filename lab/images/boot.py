"""Boots an image for real under QEMU's own emulation and measures it: `python -m lab.images.boot mini|debian`.

One guest with a NoCloud seed, on QEMU's user network; nothing on the computer is changed and nothing needs root.
"""

import argparse
import io
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pycdlib

from lab.command import TIED_TO_US
from lab.images import build_debian, build_mini
from lab.images.run import run

MAC = "52:54:00:00:00:01"
MEMORY_MIB = {"mini": 256, "debian": 1024}
PATIENCE_S = 600.0
SEED_FILES = {
    "meta-data": "instance-id: try-1\nlocal-hostname: try\n",
    "network-config": f"version: 2\nethernets:\n  id0:\n    match: {{macaddress: '{MAC}'}}\n"
    "    addresses: [10.0.2.15/24]\n    gateway4: 10.0.2.2\n    nameservers: {addresses: [10.0.2.3]}\n",
}


@dataclass(frozen=True)
class Guest:
    """A running guest: its disk, its serial log, its forwarded ssh port and QEMU's process."""

    folder: Path
    disk: Path
    port: int
    process: "subprocess.Popen[bytes]"
    started_s: float

    @property
    def serial(self) -> str:
        return (self.folder / "serial.log").read_text(errors="replace")

    def ssh(self, command: str) -> str:
        """Run a shell line in the guest as the seed's user and give its output."""
        return run(["ssh", *ssh_options(self.folder), "-p", str(self.port), "ada@127.0.0.1", command], why="ssh")

    def monitor(self, line: str) -> str:
        """Run one line in QEMU's monitor and give what it prints."""
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(str(self.folder / "monitor"))
            _until_prompt(channel)
            channel.sendall(line.encode() + b"\n")
            return _until_prompt(channel)

    def wait_for_sshd(self) -> float:
        """Seconds from QEMU's start to sshd's first answer."""
        while time.monotonic() - self.started_s < PATIENCE_S and self.process.poll() is None:
            if _greets(self.port):
                return time.monotonic() - self.started_s
            time.sleep(0.05)  # a port has no event to wait for
        raise TimeoutError(f"no sshd; the serial log ends in: {self.serial[-500:]}")


def ssh_options(folder: Path) -> list[str]:
    known = folder / "known_hosts"
    return ["-i", str(folder / "key"), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new",
            "-o", f"UserKnownHostsFile={known}", "-o", "LogLevel=ERROR"]  # fmt: skip


def _until_prompt(channel: socket.socket) -> str:
    heard = b""
    while not heard.endswith(b"(qemu) "):
        heard += channel.recv(4096)
    return heard.decode(errors="replace")


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as channel:
            return channel.recv(4) == b"SSH-"
    except OSError:
        return False


def seed(folder: Path, public_key: str) -> Path:
    """Write a NoCloud ISO for user ada with `public_key`."""
    user = f"#cloud-config\nhostname: try\nusers:\n- name: ada\n  ssh_authorized_keys: [{public_key}]\n"
    user += "  sudo: ALL=(ALL) NOPASSWD:ALL\n  shell: /bin/bash\n  lock_passwd: true\n"
    files = SEED_FILES | {"user-data": user}
    iso = pycdlib.PyCdlib()
    iso.new(joliet=3, rock_ridge="1.09", vol_ident="cidata")
    for name, text in files.items():
        data = text.encode()
        short = name.replace("-", "").upper()[:8]
        iso.add_fp(io.BytesIO(data), len(data), f"/{short}.;1", rr_name=name, joliet_path=f"/{name}")
    path = folder / "seed.iso"
    iso.write(str(path))
    iso.close()
    return path


@contextmanager
def running(folder: Path, disk: Path, *, memory_mib: int, cpus: int = 2) -> Iterator[Guest]:
    """A guest on `disk`, with the seed and the key already in `folder`; QEMU has ended when the block is left."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *TIED_TO_US, "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi",
        "-nodefaults", "-display", "none",
        "-smp", f"{cpus},maxcpus=4", "-m", f"{memory_mib},slots=2,maxmem=4G",
        "-serial", f"file:{folder}/serial.log", "-monitor", f"unix:{folder}/monitor,server,nowait",
        "-device", "virtio-rng-pci", "-device", "virtio-balloon-pci",
        "-drive", f"if=none,id=root,file={disk},format={disk.suffix[1:]}", "-device", "virtio-blk-pci,drive=root",
        "-drive", f"if=none,id=seed,file={folder}/seed.iso,format=raw,readonly=on,media=cdrom",
        "-device", "virtio-scsi-pci", "-device", "scsi-cd,drive=seed",
        "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22",
        "-device", f"virtio-net-pci,netdev=net,mac={MAC},romfile=",
        "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={folder}/agent,server=on,wait=off",
        "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield Guest(folder, disk, port, process, time.monotonic())
    finally:
        process.kill()
        process.wait()


def overlay(folder: Path, image: Path, size: str) -> Path:
    """A grown copy of `image` that a guest may write to."""
    copy = folder / f"disk{image.suffix}"
    run(["cp", "--sparse=always", image, copy], why="The image cannot be copied")
    run(["qemu-img", "resize", "-q", "-f", copy.suffix[1:], copy, size], why="The copy cannot be grown")
    return copy


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lab.images.boot", description=__doc__)
    parser.add_argument("image", choices=sorted(MEMORY_MIB))
    name = parser.parse_args().image
    image = build_mini.build() if name == "mini" else build_debian.build()
    with tempfile.TemporaryDirectory(prefix="nacre-boot-") as place:
        folder = Path(place)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], why="No key can be made")
        seed(folder, (folder / "key.pub").read_text().strip())
        disk = overlay(folder, image, "128M" if name == "mini" else "6G")
        for boot in ("first", "second"):
            with running(folder, disk, memory_mib=MEMORY_MIB[name]) as guest:
                report(guest, boot)


def report(guest: Guest, boot: str) -> None:
    """Print what the guest does and how long it takes, then switch it off by its power button."""
    print(f"{boot} boot: sshd after {guest.wait_for_sshd():.1f} s")
    print(guest.ssh("hostname; id; nproc; free -m | head -n 2; cat /sys/block/vda/size; sudo id -u; df -h | grep vda"))
    pressed = time.monotonic()
    guest.monitor("system_powerdown")
    guest.process.wait(timeout=60)
    print(f"off {time.monotonic() - pressed:.1f} s after the power button\n{guest.serial[-300:]}")


if __name__ == "__main__":
    main()
