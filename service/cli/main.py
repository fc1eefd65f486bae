"""`nacre`: the command line, put together."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated

import typer

from service.cli import catalogue, host, image, job, vm
from service.cli.errors import CliError
from service.cli.output import notes, plain


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"nacre {metadata.version('nacre')}\n")
        raise typer.Exit


app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Nacre: a private cloud on your own machines. NACRE_URL and NACRE_TOKEN_FILE say where it is.",
)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    del version  # told before anything else is looked at


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
        _tell(error)
        sys.exit(error.exit_code)
    except OSError as error:  # a file that goes away, a full disk behind our output
        _tell(error)
        sys.exit(CliError.exit_code)


def _tell(error: Exception) -> None:
    notes.print(plain("nacre: "), end="")
    for line in str(error).splitlines():
        notes.print(plain(line))


if __name__ == "__main__":
    main()
