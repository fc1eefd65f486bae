"""`up`: the stages that turn an empty computer into a running cluster, each of them a no-op when its work is done."""

import shutil

from rich.console import Console

from lab import root, store
from lab.cloud import ensure_hosts, ensure_image, write_env
from lab.control_plane import ensure_control_plane
from lab.demo import closing_table, ensure_demo
from lab.deploy import deploy
from lab.errors import LabError
from lab.machines import boot_all, ensure_root
from lab.service import ensure_service
from lab.spec import LabSpec, check_name
from lab.stages import Stage, run_stages
from lab.store import Remembered

PROGRAMS = (
    "systemd-nspawn", "mmdebstrap", "nft", "ip", "losetup", "ssh", "ssh-keygen", "nsenter", "unshare", "setpriv",
    "ceph", "rbd", "qemu-img",
)  # fmt: skip
STAGE_NAMES = ("packages", "root", "machines", "deploy", "service", "hosts", "image", "control", "demo")


def up(
    name: str, subnet: str | None, hosts: int | None, osds: int | None, *, control: bool, last: str, console: Console
) -> None:
    """Bring a lab up as far as the stage `last`; run again, it goes on from where it ended."""
    check_name(name)
    with store.locked(store.lock_path(name)):
        lab = store.choose(name, subnet, hosts, osds, mark=root.fingerprint(), control=control)
        wanted = STAGE_NAMES[: STAGE_NAMES.index(last) + 1]
        run_stages([stage for stage in _stages(lab) if stage.name in wanted], console)
    if last == STAGE_NAMES[-1]:
        closing_table(lab.spec, console)


def _stages(lab: Remembered) -> list[Stage]:
    spec = lab.spec
    machine = spec.control_machine
    control = [] if machine is None else [Stage("control", lambda: ensure_control_plane(spec, machine))]
    return [
        Stage("packages", _programs),
        Stage("root", lambda: ensure_root(lab)),
        Stage("machines", lambda: boot_all(lab)),
        Stage("deploy", lambda: deploy(spec)),
        Stage("service", lambda: _service(spec)),
        Stage("hosts", lambda: ensure_hosts(spec)),
        Stage("image", lambda: ensure_image(spec)),
        *control,
        Stage("demo", lambda: ensure_demo(spec)),
    ]


def _service(spec: LabSpec) -> str:
    write_env(spec)
    return ensure_service(spec)


def _programs() -> str:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise LabError(f"Missing programs: {', '.join(missing)}. Run `make up`, which installs them.")
    return "all there"
