"""What is remembered of a lab (its parameters, the root it stands on), and a lock: one run at a time changes it."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import processes
from lab.errors import LabError
from lab.spec import DEFAULT_SUBNETS, LabSpec, make_spec

BASE = Path(__file__).resolve().parent.parent / ".lab"


@dataclass(frozen=True)
class Remembered:
    """A lab as it was last brought up; `root_mark` is the fingerprint of its cached root."""

    spec: LabSpec
    root_mark: str


def _path(name: str, base: Path) -> Path:
    return base / name / "lab.json"


def load(name: str, base: Path = BASE) -> Remembered | None:
    """The remembered lab of this name, or None."""
    path = _path(name, base)
    if not path.exists():
        return None
    data = json.loads(path.read_text())
    control = data.get("control", False)
    spec = make_spec(name, data["subnet"], data["hosts"], data["osds_per_host"], base=base, control=control)
    return Remembered(spec, data["root_mark"])


def save(lab: Remembered) -> None:
    """Remember a lab."""
    spec, path = lab.spec, _path(lab.spec.name, lab.spec.base)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "subnet": str(spec.subnet),
        "hosts": spec.hosts,
        "osds_per_host": spec.osds_per_host,
        "control": spec.control,
        "root_mark": lab.root_mark,
    }
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(data, indent=1) + "\n")
    draft.replace(path)


def lab_names(base: Path = BASE) -> tuple[str, ...]:
    """Names of all remembered labs."""
    return tuple(sorted(path.parent.name for path in base.glob("*/lab.json")))


def choose(
    name: str,
    subnet: str | None,
    hosts: int | None,
    osds: int | None,
    *,
    mark: str,
    base: Path = BASE,
    control: bool = False,
) -> Remembered:
    """The lab to bring up: what is asked for, completed by what is remembered; LabError for what cannot change."""
    old = load(name, base)
    if old is None:
        default = DEFAULT_SUBNETS.get(name, DEFAULT_SUBNETS["demo"])
        new = make_spec(name, subnet or default, _given(hosts, 3), _given(osds, 1), base=base, control=control)
        return Remembered(new, mark)
    was = old.spec
    spec = make_spec(
        name, subnet or str(was.subnet), _given(hosts, was.hosts), _given(osds, was.osds_per_host), base=base,
        control=control or was.control,
    )  # fmt: skip
    if spec.subnet != was.subnet or spec.hosts < was.hosts or spec.osds_per_host < was.osds_per_host:
        raise LabError(
            f"Lab {name} has SUBNET={was.subnet} HOSTS={was.hosts} OSDS_PER_HOST={was.osds_per_host} and can only "
            f"grow: run `make down LAB={name} PURGE=1` first, or choose another LAB."
        )
    if spec.control and not was.control and old.root_mark != mark:
        raise LabError(
            f"Lab {name} stands on an older root, which may lack what a control machine needs: "
            f"run `make down LAB={name} PURGE=1` first, or choose another LAB."
        )
    return Remembered(spec, old.root_mark)


def _given(asked: int | None, otherwise: int) -> int:
    return otherwise if asked is None else asked  # 0 was asked for, and is refused


@contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock file; when another run holds it, wait or raise LabError. The kernel drops it when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as held:
            raise LabError(
                f"Another run is changing this lab ({path} is held): wait for it to end, then try again."
            ) from held
        me = processes.record_of(os.getpid())
        if me is not None:
            processes.save(_holder(path), me)
        try:
            yield
        finally:
            _holder(path).unlink(missing_ok=True)


def end_holder(path: Path) -> None:
    """End the run that holds a lock, if one does."""
    holder = processes.load(_holder(path))
    if holder is not None and holder.pid != os.getpid():
        processes.end(holder)


def _holder(path: Path) -> Path:
    return path.with_suffix(".holder")


def lock_path(name: str, base: Path = BASE) -> Path:
    """The lock of one lab; outside its folder, which a purge removes."""
    return base / "locks" / name
