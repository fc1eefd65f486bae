"""The control stage: the control plane's role on a machine of its own, beside the service from the checkout."""

from lab.deploy import ANSIBLE, ansible_sources, fingerprint, play
from lab.inventory import control_inventory_path
from lab.service import PORT, SOURCES, ready
from lab.spec import CHECKOUT, LabSpec, MachineSpec

PLAYBOOK = ANSIBLE / "playbooks/control_plane.yml"


def ensure_control_plane(lab: LabSpec, machine: MachineSpec) -> str:
    """Deploy the role on the control machine unless its last success still holds."""
    inventory, stamp = control_inventory_path(lab), lab.folder / "run/control-deployed"
    service = [p for name in SOURCES for p in (CHECKOUT / name).rglob("*") if p.is_file() and p.suffix != ".pyc"]
    wanted = fingerprint([*ansible_sources(), *service, CHECKOUT / "pyproject.toml", inventory], CHECKOUT)
    if stamp.exists() and stamp.read_text() == wanted and ready(str(machine.address)):
        return f"running at {url(machine)}"
    stamp.unlink(missing_ok=True)
    recap = play(lab, PLAYBOOK, inventory, lab.folder / "logs/control.log")
    stamp.write_text(wanted)
    return f"{recap}, running at {url(machine)}"


def url(machine: MachineSpec) -> str:
    """Where the control machine's API answers."""
    return f"http://{machine.address}:{PORT}"
