"""Entry point of `nacre`: all commands and global options."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated

import typer

from service.cli import (
    adopt,
    audit,
    catalogue,
    events,
    history,
    host,
    host_group,
    image,
    job,
    login,
    placement,
    placement_group,
    pool,
    project,
    token,
    user,
    vm,
    vm_apply,
    vm_console,
    vm_create,
    vm_disks,
    vm_screen,
    vm_ssh,
    volume,
)
from service.cli.errors import CliError
from service.cli.output import notes, plain
from service.cli.session import set_global_options


def _version(is_requested: bool) -> None:
    if is_requested:
        sys.stdout.write(f"nacre {metadata.version('nacre')}\n")
        raise typer.Exit


app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Command line of Nacre, a private cloud. NACRE_URL and NACRE_TOKEN_FILE, or 'nacre login', give access.",
)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    in_project: Annotated[str, typer.Option("--project", help="Project to work in (or NACRE_PROJECT).")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Reason for the change, stored in the audit.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Run all checks and show what would be done; change nothing.")
    ] = False,
) -> None:
    del version  # its eager callback has run already
    set_global_options(project=in_project, reason=reason, dry_run=dry_run)


# Modules that add their commands to vm.app when imported.
VM_COMMANDS = (adopt, history, vm_apply, vm_console, vm_create, vm_disks, vm_screen, vm_ssh)
app.add_typer(vm.app, name="vm")
app.add_typer(volume.app, name="volume")
app.add_typer(image.app, name="image")
app.add_typer(host.app, name="host")
app.add_typer(host_group.app, name="host-group")
app.add_typer(placement.app, name="placement")
app.add_typer(placement_group.app, name="placement-group")
app.add_typer(job.app, name="job")
app.add_typer(catalogue.flavors, name="flavor")
app.add_typer(catalogue.networks, name="network")
app.add_typer(pool.app, name="pool")
app.add_typer(project.app, name="project")
app.add_typer(user.app, name="user")
app.add_typer(token.app, name="token")
app.command("audit")(audit.show_audit)
app.command("events")(events.show_events)
app.command("login")(login.log_in)
app.command("logout")(login.log_out)
app.command("whoami")(login.who_am_i)
app.command("password")(login.change_password)


def main() -> None:
    """Run the command; print an error as one message, never a traceback."""
    try:
        app()
    except CliError as error:
        _print_error(error)
        sys.exit(error.exit_code)
    except OSError as error:  # for example a deleted file, or a full disk behind standard output
        _print_error(error)
        sys.exit(CliError.exit_code)


def _print_error(error: Exception) -> None:
    notes.print(plain("nacre: "), end="")
    for line in str(error).splitlines():
        notes.print(plain(line))


if __name__ == "__main__":
    main()
