"""`nacre`: the command line, put together."""

from __future__ import annotations

import sys

import typer

from service.cli import catalogue, host, image, job, vm
from service.cli.errors import CliError
from service.cli.output import notes, plain

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Nacre: a private cloud on your own machines. NACRE_URL and NACRE_TOKEN_FILE say where it is.",
)
app.add_typer(vm.app, name="vm")
app.add_typer(image.app, name="image")
app.add_typer(host.app, name="host")
app.add_typer(job.app, name="job")
app.add_typer(catalogue.flavors, name="flavor")
app.add_typer(catalogue.networks, name="network")
app.add_typer(catalogue.pools, name="pool")


def main() -> None:
    """Run the command; errors are one message, never a traceback."""
    try:
        app()
    except CliError as error:
        notes.print(plain("nacre: "), end="")
        for line in str(error).splitlines():
            notes.print(plain(line))
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
