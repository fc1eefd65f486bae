"""`python -m lab up|down|status|exec`: a hyperconverged cluster on one computer."""

import argparse
import os
import sys

from rich.console import Console
from rich.markup import escape

from lab import store
from lab.down import down, require_root
from lab.errors import LabError
from lab.machines import all_machines
from lab.spec import DEFAULT_NAME, check_name
from lab.status import status
from lab.up import STAGE_NAMES, up


def main(arguments: list[str] | None = None) -> int:
    """Run one command; an error a person can act on is one sentence and exit status 1."""
    options = _parser().parse_args(arguments)
    console = Console()
    try:
        require_root()
        return int(options.work(options, console) or 0)
    except LabError as error:
        Console(stderr=True).print(f"[bold red]lab:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="up|down|status|exec")
    _up(_command(commands, "up", "bring the lab up, or what is missing of it"))
    one = _command(commands, "down", "end everything the lab runs; its files stay")
    one.add_argument("--purge", action="store_true", help="delete its files too, and the cache with the last lab")
    one.set_defaults(work=lambda o, _: down(o.lab, purge=o.purge))
    one = _command(commands, "status", "what is running")
    one.set_defaults(work=lambda o, c: status(_remembered(o.lab), c))
    one = _command(commands, "exec", "run a command inside a machine, as from its console")
    one.add_argument("machine", help="host1, host2, … or control")
    one.add_argument("words", nargs=argparse.REMAINDER, help="the command; a shell when left out")
    one.set_defaults(work=lambda o, _: _exec(o.lab, o.machine, o.words))
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, words: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=words, description=words)
    parser.add_argument("--lab", default=DEFAULT_NAME, help=f"the lab's name (default {DEFAULT_NAME})")
    return parser


def _up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--subnet", help="a private /24 (default 10.80.0.0/24, or what the lab has)")
    parser.add_argument("--hosts", type=int, help="number of machines (default 3)")
    parser.add_argument("--osds-per-host", type=int, help="disks per machine (default 1)")
    parser.add_argument("--control", action="store_true", help="a machine more, with the control plane's role on it")
    parser.add_argument("--stage", choices=STAGE_NAMES, default=STAGE_NAMES[-1], help="stop after this stage")
    parser.set_defaults(work=_work_up)


def _work_up(options: argparse.Namespace, console: Console) -> None:
    up(
        options.lab, options.subnet, options.hosts, options.osds_per_host,
        control=options.control, last=options.stage, console=console,
    )  # fmt: skip


def _remembered(name: str) -> store.Remembered:
    check_name(name)
    lab = store.load(name)
    if lab is None:
        raise LabError(f"There is no lab {name}: `make up LAB={name}` makes it.")
    return lab


def _exec(name: str, host: str, words: list[str]) -> None:
    for machine in all_machines(_remembered(name)):
        if machine.spec.name == host:
            command = [*machine.inside(), *(words[words[:1] == ["--"] :] or ["bash"])]
            os.execvp(command[0], command)  # noqa: S606
    raise LabError(f"Lab {name} has no machine {host}: `make status LAB={name}` lists them.")


if __name__ == "__main__":
    sys.exit(main())
