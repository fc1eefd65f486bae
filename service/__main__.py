"""Command line of the control plane: `python -m service <command>`."""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service import bootstrap, logs
from service.api import reference
from service.api.routes import ROUTES
from service.errors import NacreError
from service.operations.authorise import ROLES
from service.settings import DEFAULT_PATH, Settings, load_settings


def main() -> int:
    """Run one of the commands; return its exit status."""
    arguments = _parser().parse_args()
    logs.set_up_logging()
    if arguments.command == "openapi":
        arguments.out.write_text(reference.text(ROUTES))
        return 0
    try:
        _run(arguments, load_settings(arguments.settings))
    except ValidationError as failure:
        problems = "; ".join(map(_format, failure.errors()))
        return _refuse(f"{arguments.settings}: {problems}")
    except (OSError, tomllib.TOMLDecodeError) as failure:
        return _refuse(f"{arguments.settings}: {failure}")
    except NacreError as error:
        return _refuse(f"{error.detail} [{error.code}]")
    return 0


def _run(arguments: argparse.Namespace, settings: Settings) -> None:
    match arguments.command:
        case "api":
            bootstrap.serve_api(settings)
        case "worker":
            bootstrap.serve_worker(settings, arguments.id or bootstrap.default_worker_id())
        case "console":
            bootstrap.serve_console(settings)
        case "migrate":
            bootstrap.migrate_database(settings)
        case "backup":
            bootstrap.write_backup(settings, arguments.settings, arguments.file)
        case "restore":
            off = arguments.unreachable_hosts_are_off
            sys.stdout.write(bootstrap.restore_backup(settings, arguments.file, unreachable_hosts_are_off=off))
        case "token":
            bootstrap.create_token(settings, name=arguments.name, role=arguments.role, path=arguments.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service", description="The Nacre control plane.")
    parser.add_argument("--settings", type=Path, default=DEFAULT_PATH, help="TOML file (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("api", help="serve the HTTP API")
    worker = commands.add_parser("worker", help="run jobs")
    worker.add_argument("--id", help="unique among the workers of one database (default: the host name)")
    commands.add_parser("console", help="serve VNC and serial consoles")
    described = commands.add_parser("openapi", help="write the OpenAPI document of the API; needs no settings")
    described.add_argument("--out", type=Path, required=True, help="output file")
    commands.add_parser("migrate", help="migrate the database to this version's schema")
    backup = commands.add_parser("backup", help="write the control plane's state to a file; the service may run")
    backup.add_argument("file", type=Path, help="output file, mode 0600; not written if the backup fails")
    restored = commands.add_parser("restore", help="restore the state from a backup; the service must not run")
    restored.add_argument("file", type=Path, help="file written by the command backup")
    restored.add_argument(
        "--unreachable-hosts-are-off", action="store_true", help="assert that unreachable hosts run no VM"
    )
    token = commands.add_parser("token", help="create an API token; it replaces one of the same name")
    token.add_argument("name")
    token.add_argument("--role", choices=ROLES, default="user")
    token.add_argument("--out", type=Path, required=True, help="output file of the secret, mode 0600")
    return parser


def _format(error: ErrorDetails) -> str:
    return f"{'.'.join(map(str, error['loc']))}: {error['msg'].removeprefix('Value error, ')}"


def _refuse(message: str) -> int:
    sys.stderr.write(f"nacre: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
