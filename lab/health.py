"""What the cluster answers to the control plane's own user: health, and whether its pools really serve."""

import json
import time
from dataclasses import dataclass

from lab.command import attempt
from lab.spec import LabSpec

ANSWER_TIMEOUT_S = 8
POOLS = ("images", "vms")
# A shell that has sourced one lab's `env` may bring up another: CEPH_ARGS would win over our own options.
LIMIT = (
    "env", "--unset=CEPH_ARGS", "--unset=CEPH_CONF", "timeout", "--kill-after=1", str(ANSWER_TIMEOUT_S),
)  # fmt: skip


@dataclass(frozen=True)
class Health:
    """`status` is Ceph's word (HEALTH_OK, HEALTH_WARN, HEALTH_ERR) or SILENT; `reasons` are its check messages."""

    status: str
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.status + (f" ({'; '.join(self.reasons)})" if self.reasons else "")


SILENT = Health("SILENT", ("no monitor answers",))


def client_arguments(lab: LabSpec) -> list[str]:
    """Options that make `ceph` and `rbd` speak as the control plane's user."""
    control = lab.folder / "control"
    keyring = control / "ceph.client.nacre.keyring"
    return ["--conf", str(control / "ceph.conf"), "--name", "client.nacre", "--keyring", str(keyring)]


def ask(lab: LabSpec) -> Health:
    """The cluster's health now; SILENT when no monitor answers in a few seconds."""
    if not (lab.folder / "control/ceph.conf").exists():
        return SILENT
    done = attempt([*LIMIT, "ceph", *client_arguments(lab), "health", "--format=json"])
    return parse(done.stdout) if done.returncode == 0 else SILENT


def parse(answer: str) -> Health:
    """Read the JSON answer of `ceph health`."""
    try:
        health = json.loads(answer)
    except ValueError:
        return SILENT
    return Health(health["status"], tuple(check["summary"]["message"] for check in health["checks"].values()))


def serves(lab: LabSpec) -> bool:
    """Whether both pools answer a read: right after a power cut the map still calls OSDs up that are not back yet."""
    return all(attempt([*LIMIT, "rbd", *client_arguments(lab), "ls", pool]).returncode == 0 for pool in POOLS)


def wait_healthy(lab: LabSpec, timeout_s: float) -> Health:
    """Wait until the cluster is HEALTH_OK and serves, or time is over; the last answer. Ceph has no event for it."""
    deadline = time.monotonic() + timeout_s
    while True:
        health = ask(lab)
        if (health.status == "HEALTH_OK" and serves(lab)) or time.monotonic() > deadline:
            return health
        time.sleep(1)
