"""`python -m service api | worker | migrate | token`: the control plane's processes and its first key."""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

from pydantic import ValidationError

from service import bootstrap
from service.errors import NacreError
from service.operations.tokens import ROLES
from service.settings import DEFAULT_PATH, Settings, load_settings


def main() -> int:
    """Run one of the commands; the exit status says whether it went well."""
    arguments = _parser().parse_args()
    bootstrap.set_up_logging()
    try:
        _run(arguments, load_settings(arguments.settings))
    except ValidationError as failure:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in failure.errors())
        return _refuse(f"{arguments.settings}: {wrong}")
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
        case "migrate":
            bootstrap.migrate_database(settings)
        case "token":
            bootstrap.create_token(settings, name=arguments.name, role=arguments.role, path=arguments.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service", description="The Nacre control plane.")
    parser.add_argument("--settings", type=Path, default=DEFAULT_PATH, help="TOML file (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("api", help="answer HTTP")
    worker = commands.add_parser("worker", help="run jobs")
    worker.add_argument("--id", help="unique among the workers of one database (default: the host name)")
    commands.add_parser("migrate", help="bring the database's schema to this version's")
    token = commands.add_parser("token", help="make an API token, in place of one of the same name")
    token.add_argument("name")
    token.add_argument("--role", choices=ROLES, default="user")
    token.add_argument("--out", type=Path, required=True, help="file that the secret is written to, mode 0600")
    return parser


def _refuse(message: str) -> int:
    sys.stderr.write(f"nacre: {message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
