"""`status`: one table of what the lab has and what of it runs."""

from rich.console import Console
from rich.table import Table

from lab import processes
from lab.machines import all_machines
from lab.service import PARTS
from lab.store import Remembered


def status(lab: Remembered, console: Console) -> None:
    """Print machines and the parts of the service, running or not."""
    table = Table(title=f"lab {lab.spec.name} · {lab.spec.subnet}")
    for heading in ("what", "address", "state"):
        table.add_column(heading)
    for machine in all_machines(lab):
        table.add_row(machine.spec.name, str(machine.spec.address), "running" if machine.running else "off")
    for part in PARTS:
        alive = processes.load(lab.spec.folder / "run" / f"{part}.pid") is not None
        table.add_row(part, str(lab.spec.control_address), "running" if alive else "off")
    console.print(table)
