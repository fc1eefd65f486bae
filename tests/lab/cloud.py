"""The service in the lab as its users reach it: the `nacre` command, the API's client, ssh into the VMs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from lab import processes
from lab.images import stamps
from lab.images.stamps import Stamp
from lab.service import client_environment, ensure_service, token_file, url
from lab.spec import CHECKOUT
from service.cli.client import FINAL_STATES, Client, Json, at
from service.cli.config import Config
from service.cli.errors import ApiError
from storage.refs import VolumeRef
from tests.lab.patience import DEADLINE_S, eventually
from tests.lab.whole_lab import IMAGE, WholeLab

FLAVOR = "small"
DELETED_IN_ORDER = ("vms", "placement-groups", "volumes", "images", "flavors")
BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Cloud:
    """Makes VMs under names of its own and deletes them at close()."""

    def __init__(self, lab: WholeLab) -> None:
        self.lab = lab
        token = token_file(lab.spec).read_text().strip()
        self.client = Client(Config(url=url(lab.spec), token=token, ssh_key=None))
        self._home = lab.spec.folder / "home"
        self._home.mkdir(exist_ok=True)
        self._made: dict[str, list[str]] = {kind: [] for kind in DELETED_IN_ORDER}

    def nacre(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the `nacre` command as a person would; its exit status is an answer."""
        inherited = {"PATH": os.environ["PATH"], "HOME": str(self._home), "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [sys.executable, "-m", "service.cli.main", *words],
            env={**inherited, "PYTHONPATH": str(CHECKOUT), **client_environment(self.lab.spec)},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip

    def told(self, *words: str) -> Any:
        """The same, which must succeed; what it printed as JSON."""
        done = self.nacre(*words, "--output", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, *words: str) -> str:
        """The same, which must fail with a message and without a traceback; that message."""
        done = self.nacre(*words)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stderr
        return done.stderr

    def new_name(self) -> str:
        """A VM name that no other test uses; whatever gets it is deleted at the end."""
        return self.adopt("vms", _new_name())

    def adopt(self, kind: str, name: str) -> str:
        """Have something deleted at the end; `kind` is one of DELETED_IN_ORDER."""
        self._made[kind].append(name)
        return name

    def new_flavor(self, *, memory_mib: int, disk_gib: int = 1) -> str:
        """A flavor of one vCPU; returns its name."""
        name = self.adopt("flavors", _new_name())
        size = ["--vcpus", "1", "--memory-mib", str(memory_mib), "--disk-gib", str(disk_gib)]
        self.told("flavor", "create", name, *size)
        return name

    def new_group(self, kind: str) -> str:
        """A placement group, `--apart` or `--together`; returns its name."""
        name = self.adopt("placement-groups", _new_name())
        self.told("placement-group", "create", name, kind)
        return name

    def upload(self, file: Path) -> str:
        """An image made from a file; returns its name."""
        name = self.adopt("images", _new_name())
        self.told("image", "upload", name, str(file), "--wait")
        return name

    def create(self, *, image: str = IMAGE, flavor: str = FLAVOR) -> str:
        """A running VM; returns its name."""
        name = self.new_name()
        self.told("vm", "create", name, "--image", image, "--flavor", flavor, "--wait")
        return name

    def order(self, name: str, *, flavor: str = FLAVOR) -> Json:
        """Ask for a VM and do not wait: the job as it was accepted."""
        return self.client.post("/v1/vms", {"name": name, "image": IMAGE, "flavor": flavor})

    def vm(self, name: str) -> Json:
        """A VM in full."""
        return self.client.get(at("vms", name))

    def find(self, name: str) -> Json | None:
        """A VM in full; None when there is none."""
        try:
            return self.vm(name)
        except ApiError as error:
            if error.problem["code"] != "vm.not_found":
                raise
            return None

    def host(self, name: str) -> Json:
        """A host."""
        return self.client.get(at("hosts", name))

    def job(self, job_id: str) -> Json:
        """A job as it is now."""
        return self.client.get(at("jobs", job_id))

    def ended(self, job: Json) -> Json:
        """The job at its end."""
        return eventually(f"job {job['kind']} ends", lambda: self._at_end(job["id"]))

    def wait_idle(self) -> None:
        """Until no job is unfinished but the service's own rounds."""
        eventually("all jobs end", lambda: not self.unfinished())

    def unfinished(self) -> list[str]:
        """Kinds of the jobs that have not ended."""
        jobs = self.client.get("/v1/jobs", limit=200)["items"]
        return [job["kind"] for job in jobs if job["state"] not in FINAL_STATES]

    def wait_state(self, name: str, state: str) -> Json:
        """The VM once it is observed in this state."""
        return eventually(f"VM {name} is {state}", lambda: self._in_state(name, state))

    def inside(self, name: str, command: str) -> str:
        """What a shell command inside the VM prints, by ssh; waits until the VM can be reached."""
        eventually(f"{name}'s sshd greets", lambda: _greets(self.vm(name)["address"]))
        done = eventually(f"ssh into {name}", lambda: self._ssh(name, command))
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def boot_id(self, name: str) -> str:
        """The id of the guest's running kernel: another one after every boot."""
        return self.inside(name, f"cat {BOOT_ID}")

    def root(self, vm: Json) -> VolumeRef:
        """A VM's root volume."""
        return next(VolumeRef(v["pool"], v["storage_name"]) for v in vm["volumes"] if v["role"] == "root")

    def stamps(self, name: str) -> tuple[Stamp, ...]:
        """What the guest has written once a second to its root disk, read from outside."""
        ring = self.lab.storage.read(self.root(self.vm(name)), offset=stamps.RING_OFFSET, length=stamps.RING_BYTES)
        return stamps.read_ring(ring)

    def wait_stamp(self, name: str, after: int = 0) -> tuple[Stamp, ...]:
        """All stamps, once there is one with a number above `after`."""

        def look() -> tuple[Stamp, ...]:
            found = self.stamps(name)
            return found if found and found[-1].seq > after else ()

        return eventually(f"{name} writes stamp {after + 1}", look)

    def crash(self, part: str) -> None:
        """`kill -9` one part of the service ("api", "worker") with all its processes."""
        record = processes.load(self.lab.spec.folder / "run" / f"{part}.pid")
        assert record is not None, f"the {part} is not running"
        os.killpg(record.pid, signal.SIGKILL)  # it was started as the leader of a session of its own
        processes.end(record)

    def restart(self) -> None:
        """Have the dead parts of the service running again."""
        ensure_service(self.lab.spec)

    def close(self) -> None:
        """Delete what was made."""
        self.wait_idle()
        for kind, names in self._made.items():
            there = {row["name"] for row in self.client.items(f"/v1/{kind}")}
            answers = [self.client.delete(at(kind, name)) for name in names if name in there]
            ends = [self.ended(job) for job in answers if job]  # a flavor is gone at once, without a job
            assert all(job["state"] == "succeeded" for job in ends), ends

    def _at_end(self, job_id: str) -> Json | None:
        job = self.job(job_id)
        return job if job["state"] in FINAL_STATES else None

    def _in_state(self, name: str, state: str) -> Json | None:
        vm = self.vm(name)
        return vm if vm["observed_state"] == state else None

    def _ssh(self, name: str, command: str) -> subprocess.CompletedProcess[str] | None:
        """As `nacre vm ssh` does it, without the half second that starting `nacre` takes each time."""
        vm, known = self.vm(name), self._home / "known_hosts"
        options = ["-o", f"UserKnownHostsFile={known}", "-o", f"HostKeyAlias={vm['id']}", "-o", "LogLevel=ERROR"]
        options += ["-o", "StrictHostKeyChecking=accept-new", "-o", "ConnectTimeout=10", "-o", "BatchMode=yes"]
        options += ["-i", client_environment(self.lab.spec)["NACRE_SSH_KEY"], "-o", "IdentitiesOnly=yes"]
        done = subprocess.run(
            ["ssh", *options, "--", f"{vm['user']}@{vm['address']}", command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        return None if done.returncode == 255 else done  # ssh itself: the guest is not there yet


def _greets(address: str) -> bool:
    """Whether an sshd speaks there: a look that costs nothing, beside guests that need the CPU to boot."""
    try:
        with socket.create_connection((address, 22), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False  # not up yet


def _new_name() -> str:
    return f"t{uuid.uuid4().hex[:8]}"
