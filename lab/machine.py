"""`Machine`: one server of the lab, with systemd and sshd inside, that can be booted, cut off, killed and wiped."""

import os
import socket
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import cuts, keys, loops, mounts, network, processes, root, throttle
from lab.command import attempt, run
from lab.detach import detach
from lab.errors import LabError
from lab.inside import check_ours, find_init, power_off
from lab.spec import CHECKOUT, OSD_SIZE_BYTES, MachineSpec

BOOT_TIMEOUT_S = 60
SHARED_NODES = ("/dev/kvm", "/dev/net/tun", "/dev/fuse")
HOST0 = """[Match]
Name=host0
[Network]
Address={address}/{bits}
Gateway={gateway}
LinkLocalAddressing=no
IPv6AcceptRA=no
"""


@dataclass(frozen=True)
class Machine:
    """Owner of one machine: its folder, processes, network and disks on the computer. `lower` is the cached root."""

    spec: MachineSpec
    lower: Path

    @property
    def running(self) -> bool:
        """Whether the machine's own init is alive."""
        return self._init_pid() is not None

    def boot(self, *, wait: bool = True) -> None:
        """Switch the machine on (nothing happens when it is on) and, unless told otherwise, wait for its sshd."""
        check_ours(self.spec.label, self.spec.folder)
        if not self.running:
            self.kill()
            self._start()
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout_s: float = BOOT_TIMEOUT_S) -> None:
        """Wait until sshd greets on the management address; LabError names the console log when it does not."""
        deadline = time.monotonic() + timeout_s
        while not _greets(str(self.spec.address), 22):
            if time.monotonic() > deadline or processes.load(self.spec.record) is None:
                log = self.spec.folder / "console.log"
                raise LabError(f"{self.spec.label} did not boot: read {log}, then run `make up` again.")
            time.sleep(0.1)

    def kill(self) -> None:
        """Pull the power cord: every process of the machine, guests included, is gone when this returns; disks stay."""
        power_off(self.spec.label, self.spec.record)
        throttle.forget_disks(self.spec.label)
        mounts.unmount_below(self.spec.folder)
        network.unplug(self.spec)

    def clean(self) -> None:
        """Kill the machine and forget everything it wrote, disks included: the next boot is its first."""
        self.kill()
        loops.detach_below(self.spec.folder / "osd")
        for disk in self.spec.disks:
            loops.detach_below(disk)
            disk.unlink(missing_ok=True)
        root.discard(self.spec.folder)

    def cut_off(self) -> None:
        """Drop every frame to and from the machine, on both segments."""
        cuts.apply(cuts.everything(self.spec))

    def cut_storage(self) -> None:
        """Drop Ceph's traffic only; ssh and libvirt still answer."""
        cuts.apply(cuts.tcp_only(self.spec, cuts.STORAGE_PORTS))

    def cut_management(self) -> None:
        """Drop ssh, libvirt, migration and VNC only; Ceph goes on."""
        cuts.apply(cuts.tcp_only(self.spec, cuts.MANAGEMENT_PORTS))

    def slow_disks(self, *, write_iops: int) -> None:
        """Let the OSDs make that many writes a second to each disk."""
        throttle.slow_disks(self.spec, write_iops=write_iops)

    def slow_network(self, *, kbit_s: int) -> None:
        """Let that much pass the management cable each way: Ceph's traffic, and that of the guests' disks."""
        throttle.slow_network(self.spec, kbit_s=kbit_s)

    def heal(self) -> None:
        """Undo any cut, and what made disks or network slow."""
        cuts.heal(self.spec)
        throttle.heal(self.spec)

    def run(self, arguments: Sequence[str], *, timeout_s: float = 120) -> str:
        """Run a program inside, as from the machine's console (its network may be cut); LabError when it fails."""
        return run([*self.inside(), *arguments], timeout_s=timeout_s)

    def attempt(self, arguments: Sequence[str], *, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """The same for a program whose failure is an answer too."""
        return attempt([*self.inside(), *arguments], timeout_s=timeout_s)

    def inside(self) -> list[str]:
        """The words that turn a command on the computer into one inside the machine."""
        init = self._init_pid()
        if init is None:
            raise LabError(f"{self.spec.label} is not running: start it with `make up LAB={self.spec.lab.name}`.")
        clean_environment = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"]
        return ["nsenter", "--target", str(init), "--all", "--wdns=/root", "--", *clean_environment]

    def _init_pid(self) -> int | None:
        return find_init(self.spec.label)

    def _start(self) -> None:
        merged = mounts.mount_overlay(self.lower, self.spec.folder)
        self._first_files(merged)
        namespace = network.plug(self.spec)
        binds = [f"--bind={node}:{inside}" for node, inside in self._device_nodes()]
        self._spawn(nspawn_command(self.spec, merged, namespace, binds))

    def _first_files(self, merged: Path) -> None:
        """What tells this machine from the next; written once, so that later changes made inside stay."""
        spec, lab = self.spec, self.spec.lab
        done = spec.folder / "upper/etc/systemd/network/10-host0.network"
        if done.exists():
            return
        (merged / "etc/hostname").write_text(f"{spec.name}\n")
        (merged / "etc/hosts").write_text(f"127.0.0.1 localhost\n{spec.address} {spec.name}\n")
        (merged / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
        keys.install(spec, merged)
        text = HOST0.format(address=spec.address, bits=lab.management.prefixlen, gateway=lab.gateway_address)
        (merged / "etc/systemd/network/10-host0.network").write_text(text)

    def _device_nodes(self) -> list[tuple[Path, str]]:
        """Device nodes made for this machine alone: owner and mode inside never change the computer's own nodes."""
        folder = self.spec.folder / "dev"
        folder.mkdir(parents=True, exist_ok=True)
        nodes = [(Path(path), path) for path in SHARED_NODES if Path(path).exists()]
        for disk, inside in zip(self.spec.disks, self.spec.osd_devices, strict=True):
            nodes.append((loops.attach(disk, OSD_SIZE_BYTES), inside))
        return [(self._twin(source, folder / Path(inside).name), inside) for source, inside in nodes]

    def _twin(self, source: Path, twin: Path) -> Path:
        number = source.stat()
        kind = stat.S_IFMT(number.st_mode)
        twin.unlink(missing_ok=True)
        os.mknod(twin, kind | 0o600, number.st_rdev)
        if source.name == "kvm":  # libvirt's QEMU user is in this group; unreadable, every create would wait a minute
            os.chown(twin, 0, root.group_id(self.lower, "kvm"))
        twin.chmod(0o666 if source.name == "fuse" else 0o660)
        return twin

    def _spawn(self, command: Sequence[str]) -> None:
        launch = [sys.executable, "-m", "lab.launch", str(self.spec.record), self.spec.label, *command]
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(CHECKOUT),
            "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
        }  # fmt: skip
        log = self.spec.folder / "console.log"
        log.unlink(missing_ok=True)
        # The same record that the new process writes itself: `wait_ready` must not look too early.
        detach(launch, environment=environment, log=log, record=self.spec.record)


def nspawn_command(spec: MachineSpec, merged: Path, namespace: str, binds: Sequence[str]) -> list[str]:
    """The systemd-nspawn command line of a machine."""
    return [
        "systemd-nspawn", f"--directory={merged}", "--boot", "--register=no", "--keep-unit", f"--hostname={spec.name}",
        f"--machine={spec.lab.name}-{spec.name}", "--link-journal=no", "--capability=all", "--console=pipe",
        "--resolv-conf=off", f"--network-namespace-path={namespace}", *binds,
    ]  # fmt: skip


def _greets(address: str, port: int) -> bool:
    """True when a server speaks first on this port, as sshd does."""
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False  # nobody there yet: the caller asks again
