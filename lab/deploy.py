"""The deploy stage: Ansible turns empty machines into a cluster, and is left out while nothing it reads has changed."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from lab import health
from lab.command import ALONE, run_logged
from lab.errors import LabError
from lab.spec import CHECKOUT, LabSpec

ANSIBLE = CHECKOUT / "ansible"
PLAYBOOK = ANSIBLE / "playbooks/site.yml"
RECOVERY_S, SETTLE_S, PLAY_TIMEOUT_S = 90, 120, 1200


def deploy(lab: LabSpec) -> str:
    """Run the playbook unless its last success still holds; returns what the cluster answers."""
    stamp = lab.folder / "run/deployed"
    wanted = fingerprint([*ansible_sources(), lab.folder / "inventory.yml"], ANSIBLE)
    if stamp.exists() and stamp.read_text() == wanted:
        answer = health.wait_healthy(lab, RECOVERY_S)
        if answer.status == "HEALTH_OK":
            return f"nothing changed, {answer}"
    stamp.unlink(missing_ok=True)
    recap = play(lab, PLAYBOOK, lab.folder / "inventory.yml", lab.folder / "logs/deploy.log")
    answer = health.wait_healthy(lab, SETTLE_S)
    if answer.status != "HEALTH_OK":
        raise LabError(f"The cluster of lab {lab.name} is {answer}: look with `ceph -s`, then run `make up` again.")
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(wanted)
    return f"{recap}, {answer}"


def ansible_sources() -> list[Path]:
    """Every file that a playbook may read."""
    return [p for p in ANSIBLE.rglob("*") if p.is_file() and p.suffix not in {".md", ".pyc"}]


def fingerprint(files: Iterable[Path], folder: Path) -> str:
    """A hash over names and contents, the same in whatever order the files come."""
    whole = hashlib.sha256()
    for path in sorted(files):
        name = path.relative_to(folder) if path.is_relative_to(folder) else path.name
        whole.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()


def play(lab: LabSpec, playbook: Path, inventory: Path, log: Path) -> str:
    """Run a playbook and return its recap; LabError names the first failure."""
    # In a process namespace of its own: connections that ssh keeps open for reuse end with the play.
    command: list[str | Path] = [*ALONE, CHECKOUT / ".venv/bin/ansible-playbook", "-i", inventory, playbook]
    environment = {
        "PATH": f"{CHECKOUT / '.venv/bin'}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1",
    }  # fmt: skip
    status = run_logged(command, log, environment=environment, folder=ANSIBLE, timeout_s=PLAY_TIMEOUT_S)
    text = log.read_text(errors="replace")
    if status != 0:
        raise LabError(f"Deploying lab {lab.name} failed ({first_failure(text)}): see {log}, then run `make up` again.")
    return recap(text)


def first_failure(log: str) -> str:
    """The task that failed first and its message, from a playbook's output."""
    task = "start"
    for line in log.splitlines():
        if line.startswith(("TASK [", "RUNNING HANDLER [")):
            task = line[line.index("[") + 1 : line.rindex("]")]
        elif line.startswith(("fatal:", "ERROR!", "[ERROR]")):
            return f"{task}: {line[:300]}"
    return next((line for line in reversed(log.splitlines()) if line.strip()), "it said nothing")[:300]


def recap(log: str) -> str:
    """How many tasks ran and changed something, over all hosts."""
    counts = [sum(int(n) for n in re.findall(rf"\b{word}=(\d+)", log)) for word in ("ok", "changed")]
    return f"{counts[0]} tasks ok, {counts[1]} changed"
