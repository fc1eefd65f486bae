"""ssh between the computer and the machines: one key for the lab, host keys made here so that they are known."""

import shutil
from pathlib import Path

from lab.command import run
from lab.spec import LabSpec, MachineSpec


def private_key(lab: LabSpec) -> Path:
    """The key that opens root's account on every machine."""
    return lab.folder / "ssh/id_ed25519"


def known_hosts(lab: LabSpec) -> Path:
    """Host keys of the lab's machines, in OpenSSH's format."""
    return lab.folder / "ssh/known_hosts"


def ensure_key(lab: LabSpec) -> Path:
    """Make the lab's key unless it is there."""
    _generate(private_key(lab), f"nacre lab {lab.name}")
    return private_key(lab)


def install(machine: MachineSpec, root: Path) -> None:
    """Put the machine's host key and the lab's public key into its file system."""
    kept = machine.lab.folder / "ssh" / f"{machine.name}_host_ed25519"
    _generate(kept, machine.name)
    shutil.copy2(kept, root / "etc/ssh/ssh_host_ed25519_key")
    shutil.copy2(kept.with_suffix(".pub"), root / "etc/ssh/ssh_host_ed25519_key.pub")
    folder = root / "root/.ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    shutil.copy2(ensure_key(machine.lab).with_suffix(".pub"), folder / "authorized_keys")


def write_known_hosts(lab: LabSpec) -> None:
    """Write down which host key belongs to which address and name."""
    lines = []
    for machine in lab.all_machines:
        public = (lab.folder / "ssh" / f"{machine.name}_host_ed25519.pub").read_text().split()
        lines.append(f"{machine.address},{machine.name} {public[0]} {public[1]}\n")
    known_hosts(lab).write_text("".join(lines))


def ssh_options(lab: LabSpec) -> list[str]:
    """Options for ssh and scp that use the lab's key and nothing of the user's own configuration."""
    settings = (
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={known_hosts(lab)}",
        "ConnectTimeout=5",
    )
    return ["-F", "none", "-i", str(private_key(lab)), *(word for s in settings for word in ("-o", s))]


def _generate(path: Path, comment: str) -> None:
    if path.with_suffix(".pub").exists():  # the public half is written last
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path])
