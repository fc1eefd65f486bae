"""All machines of a lab together: the cached root below them, and bringing up whatever is not running."""

from lab import keys, network, root, store
from lab.inventory import write_inventories
from lab.machine import Machine
from lab.spec import CONTROL
from lab.store import Remembered


def machines(lab: Remembered) -> tuple[Machine, ...]:
    """The owners of a lab's hosts, host1 first."""
    return tuple(machine for machine in all_machines(lab) if machine.spec.number != CONTROL)


def all_machines(lab: Remembered) -> tuple[Machine, ...]:
    """The same with the control machine, which comes last."""
    lower = root.root_path(lab.spec.base, lab.root_mark)
    return tuple(Machine(spec, lower) for spec in lab.spec.all_machines)


def ensure_root(lab: Remembered) -> str:
    """Have the cached root; labs that start together build it once."""
    # Before the minutes that a root takes, and before anything is remembered: a taken subnet can be given anew.
    network.check_subnet(lab.spec)
    with store.locked(store.lock_path("cache", lab.spec.base), wait=True):
        built = root.ensure_root(lab.spec.base, lab.root_mark)
    return "built" if built else "already there"


def boot_all(lab: Remembered) -> str:
    """Bridges, machines, inventory: whatever of them is missing is made, whatever a dead run left is cleared first."""
    store.save(lab)
    network.ensure_segments(lab.spec)
    keys.ensure_key(lab.spec)
    owners = all_machines(lab)
    off = [machine for machine in owners if not machine.running]
    for machine in off:
        machine.boot(wait=False)
    keys.write_known_hosts(lab.spec)
    write_inventories(lab.spec)
    for machine in owners:
        machine.wait_ready()
    return f"{len(owners)} running" + (f", {len(off)} booted now" if off else "")
