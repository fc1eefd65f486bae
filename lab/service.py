"""The service stage: the control plane from this checkout, beside the machines, on an address of its own."""

import http.client
import json
import os
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

from lab import processes
from lab.command import attempt, run
from lab.deploy import fingerprint
from lab.detach import detach
from lab.errors import LabError
from lab.spec import CHECKOUT, LabSpec

PORT = 8470
PARTS = ("api", "worker", "console")
SOURCES = ("service", "storage", "templates")
START_S, STOP_S = 60, 10


def url(lab: LabSpec) -> str:
    """Where the API answers."""
    return f"http://{lab.control_address}:{PORT}"


def token_file(lab: LabSpec) -> Path:
    """The file with the administrator's token."""
    return lab.folder / "service/token"


def cluster_facts(lab: LabSpec) -> dict[str, Any]:
    """What the play hands over about the cluster: fsid, secret_uuid, pools, guest_bridge, hosts."""
    return dict(json.loads((lab.folder / "control/cluster.json").read_text()))


def settings(lab: LabSpec) -> dict[str, Any]:
    """The service's settings: those of the lab's own `settings.toml`, and where the lab has put everything."""
    control, state = lab.folder / "control", lab.folder / "service"
    return {
        **_own_settings(lab.folder / "settings.toml"),
        "state_dir": str(state),
        "listen_address": str(lab.control_address),
        "listen_port": PORT,
        "ceph_conf": str(control / "ceph.conf"),
        "ceph_keyring": str(control / "ceph.client.nacre.keyring"),
        "ceph_secret_uuid": cluster_facts(lab)["secret_uuid"],
        "libvirt_pki": str(control / "pki"),
    }


def _own_settings(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LabError(f"{path} is no TOML ({error}): correct it, then run `make up` again.") from error


def to_toml(values: dict[str, Any]) -> str:
    """Flat settings as TOML; a JSON string is a TOML string, too."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def ensure_service(lab: LabSpec) -> str:
    """Have the service running on today's code and settings, and a token to speak to it."""
    path = lab.folder / "service/settings.toml"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(to_toml(settings(lab)))
    sources = [p for name in SOURCES for p in (CHECKOUT / name).rglob("*") if p.is_file() and p.suffix != ".pyc"]
    wanted, stamp = fingerprint([*sources, path], CHECKOUT), lab.folder / "run/service.stamp"
    dead = [part for part in PARTS if processes.load(_record(lab, part)) is None]
    current = stamp.exists() and stamp.read_text() == wanted
    if current and not dead and answers(lab):
        return f"running at {url(lab)}"
    if not (current and dead):  # other code, or alive and silent; a part that only its neighbour left goes on
        _stop(lab)
        dead = list(PARTS)
    _make_token(lab, path)
    for part in dead:
        detach([*_python(path), part], environment=_environment(), log=_log(lab, part), record=_record(lab, part))
    _wait_answering(lab)
    stamp.write_text(wanted)
    return f"started at {url(lab)}"


def answers(lab: LabSpec) -> bool:
    """Whether the lab's API says that it is ready."""
    return ready(str(lab.control_address))


def ready(address: str) -> bool:
    """Whether an API says at this address that it is ready."""
    connection = http.client.HTTPConnection(address, PORT, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False  # not up yet, or just going down: the caller decides what that means
    finally:
        connection.close()


def _wait_answering(lab: LabSpec) -> None:
    deadline = time.monotonic() + START_S
    while not answers(lab):
        dead = [part for part in PARTS if processes.load(_record(lab, part)) is None]
        if dead or time.monotonic() > deadline:
            log = _log(lab, dead[0] if dead else PARTS[0])
            raise LabError(f"The service does not respond at {url(lab)}: read {log}, then run `make up` again.")
        time.sleep(0.1)


def _stop(lab: LabSpec) -> None:
    for part in PARTS:
        record = processes.load(_record(lab, part))
        if record is not None:
            processes.end(record, grace_s=STOP_S)


def _make_token(lab: LabSpec, settings_file: Path) -> None:
    if token_file(lab).exists():
        return
    clean = ["env", "-i", *(f"{name}={value}" for name, value in _environment().items())]
    done = attempt([*clean, *_python(settings_file), "token", "lab", "--role", "admin", "--out", token_file(lab)])
    if done.returncode != 0:
        raise LabError(f"The service's first token could not be made: {done.stderr.strip()[-300:]}")


def _python(settings_file: Path) -> list[str]:
    return [sys.executable, "-m", "service", "--settings", str(settings_file)]


def _environment() -> dict[str, str]:
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": os.environ.get("HOME", "/root"), "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip


def _record(lab: LabSpec, part: str) -> Path:
    return lab.folder / "run" / f"{part}.pid"


def _log(lab: LabSpec, part: str) -> Path:
    return lab.folder / "logs" / f"{part}.log"


def nacre(lab: LabSpec, *words: str, timeout_s: float = 600) -> Any:
    """Run the `nacre` command with JSON output and return what it printed, read; LabError with its own words."""
    variables = [f"{name}={value}" for name, value in client_environment(lab).items()]
    command = ["env", f"PYTHONPATH={CHECKOUT}", *variables, sys.executable, "-m", "service.cli.main", *words]
    printed = run([*command, "--output", "json"], timeout_s=timeout_s)
    return json.loads(printed)


def client_environment(lab: LabSpec) -> dict[str, str]:
    """What `nacre` needs to know."""
    from_lab = lab.folder / "ssh/id_ed25519"
    return {"NACRE_URL": url(lab), "NACRE_TOKEN_FILE": str(token_file(lab)), "NACRE_SSH_KEY": str(from_lab)}
