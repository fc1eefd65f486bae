"""The demo stage: one VM cloned, placed, booted, reached over ssh and moved, once; what happened is remembered."""

import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.cloud import FLAVOR, IMAGE
from lab.command import attempt
from lab.errors import LabError
from lab.service import nacre, token_file, url
from lab.spec import CHECKOUT, LabSpec

VM = "demo"
REACH_S = 180
RESTORE_S = 60


def ensure_demo(lab: LabSpec) -> str:
    """Make, reach and move the demo VM, as far as that has not happened yet."""
    story = _load(lab)
    if not any(vm["name"] == VM for vm in nacre(lab, "vm", "list")):
        story = {"create": nacre(lab, "vm", "create", VM, "--image", IMAGE, "--flavor", FLAVOR, "--wait")}
        story["why"] = nacre(lab, "vm", "why", VM)
        _save(lab, story)
    if "ssh_s" not in story:
        story["ssh_s"] = _reach(lab)
        _save(lab, story)
    if "migrate" not in story and lab.hosts > 1:
        story["migrate"] = nacre(lab, "vm", "migrate", VM, "--wait")
        _save(lab, story)
        _reach(lab)
    vm = _settled(lab)
    return f"VM {VM} is {vm['observed_state']}" + (f" on {vm['host']}" if vm["host"] else "")


def _settled(lab: LabSpec) -> dict[str, Any]:
    """The VM, once it is what it should be: after a power cut the service starts it again by itself."""
    deadline = time.monotonic() + RESTORE_S
    while True:
        vm = dict(nacre(lab, "vm", "show", VM))
        if vm["observed_state"] == vm["desired_state"] or time.monotonic() > deadline:
            return vm
        time.sleep(0.5)


def _path(lab: LabSpec) -> Path:
    return lab.folder / "demo.json"


def _load(lab: LabSpec) -> dict[str, Any]:
    return dict(json.loads(_path(lab).read_text())) if _path(lab).exists() else {}


def _save(lab: LabSpec, story: dict[str, Any]) -> None:
    draft = _path(lab).with_suffix(".new")
    draft.write_text(json.dumps(story, indent=1))
    draft.replace(_path(lab))


def _reach(lab: LabSpec) -> float:
    """Seconds until `true` ran inside the VM over ssh."""
    vm = nacre(lab, "vm", "show", VM)
    known = f"UserKnownHostsFile={lab.folder / 'ssh/known_vms'}"
    options = ["-o", "StrictHostKeyChecking=accept-new", "-o", known, "-o", f"HostKeyAlias={vm['id']}"]
    options += ["-o", "BatchMode=yes", "-o", "ConnectTimeout=2", "-i", str(lab.folder / "ssh/id_ed25519")]
    command = ["ssh", "-F", "none", *options, f"{vm['user']}@{vm['address']}", "true"]
    start = time.monotonic()
    while (last := attempt(command)).returncode != 0:
        if time.monotonic() - start > REACH_S:
            raise LabError(f"VM {VM} does not respond to ssh at {vm['address']} ({last.stderr.strip()[-200:]}).")
        time.sleep(0.2)
    return time.monotonic() - start


def closing_table(lab: LabSpec, console: Console) -> None:
    """What really happened, where the API is, and what to try next."""
    story = _load(lab)
    table = Table(title=f"lab {lab.name}", show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows(story):
        table.add_row(*row)
    table.add_row("API", url(lab))
    table.add_row("token", _short(token_file(lab)))
    console.print(table)
    steps = (f". {_short(lab.folder / 'env')}", "nacre vm list", f"nacre vm ssh {VM}")
    console.print("Try next:", *(f"  {step}" for step in steps), sep="\n", highlight=False, soft_wrap=True)


def _short(path: Path) -> str:
    """The path as seen from the checkout, where `make up` was called."""
    return str(path.relative_to(CHECKOUT)) if path.is_relative_to(CHECKOUT) else str(path)


def rows(story: dict[str, Any]) -> list[tuple[str, str]]:
    """The story of the demo VM as label and text."""
    told = []
    if "why" in story:
        told.append(("placed", placed(story["why"])))
    if "create" in story:
        told.append(("created in", _phases(story["create"])))
    if "ssh_s" in story:
        told.append(("ssh after", f"{story['ssh_s']:.1f} s"))
    if "migrate" in story:
        result = story["migrate"]["result"]
        way = f"{result['source']} → {result['target']}"
        told.append(("migrated", f"{way} in {result['total_ms']} ms, downtime {result['downtime_ms']} ms"))
    return told


def _phases(job: dict[str, Any]) -> str:
    return ", ".join(f"{phase['name']} {phase['ms']} ms" for phase in job["phases"])


def placed(decision: dict[str, Any]) -> str:
    """The chosen host with its score and its terms, then the scores of the others."""
    verdicts = sorted(decision["verdicts"], key=lambda v: -(v["score"] or 0))
    if not verdicts:
        return "no explanation was kept"
    first, *others = verdicts
    terms = ", ".join(f"{name} {value:.2f}" for name, value in first["terms"])
    rest = ", ".join(f"{v['host_name']} {v['score']:.2f}" for v in others if v["score"] is not None)
    return f"{first['host_name']} scores {first['score']:.2f} ({terms})" + (f"; others: {rest}" if rest else "")
