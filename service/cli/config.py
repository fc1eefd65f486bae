"""Configuration from environment variables and ~/.config/nacre/config.toml."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

import httpx

from service.cli.errors import UsageError

CONFIG_PATH = Path("~/.config/nacre/config.toml")
TOKEN_PATH = Path("~/.config/nacre/token")  # the default; 'nacre login' writes it
HINT = "set NACRE_URL and NACRE_TOKEN_FILE, or write url and token_file into ~/.config/nacre/config.toml"


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of one run of the command.

    `ssh_key` is the private key for `nacre vm ssh`; its .pub is the default key of new VMs. `project` is the project to
    work in, `reason` the text for the audit; with "" neither is sent.
    """

    url: str
    token: str
    ssh_key: Path | None
    project: str = ""
    reason: str = ""


def load_config() -> Config:
    """Return the configuration. Raises UsageError that names the next step."""
    file = _read_file(CONFIG_PATH.expanduser())
    url, path = api_url(), token_path()
    if path == TOKEN_PATH.expanduser() and not path.exists():
        raise UsageError(f"No API token: run 'nacre login', or {HINT}.")
    key = os.environ.get("NACRE_SSH_KEY") or file.get("ssh_key")
    ssh_key = Path(key).expanduser() if key else None
    project = os.environ.get("NACRE_PROJECT") or file.get("project", "")
    return Config(url=url, token=_read_token(path), ssh_key=ssh_key, project=project)


def api_url() -> str:
    """Return the URL of the API. Raises UsageError that names the next step."""
    url = os.environ.get("NACRE_URL") or _read_file(CONFIG_PATH.expanduser()).get("url")
    if not url:
        raise UsageError(f"No URL of the API: {HINT}.")
    return _checked_url(url)


def token_path() -> Path:
    """Return the path of the token file; the file may not exist yet."""
    path = os.environ.get("NACRE_TOKEN_FILE") or _read_file(CONFIG_PATH.expanduser()).get("token_file")
    return Path(path or TOKEN_PATH).expanduser()


def _checked_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise UsageError(f"'{url}' is not a URL ({error}): {HINT}.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UsageError(f"'{url}' is not a URL of the API: it must begin with http:// or https://.")
    return url.rstrip("/")


def _read_file(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        return {key: str(value) for key, value in tomllib.loads(path.read_text()).items()}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def _read_token(path: Path) -> str:
    try:
        token = path.expanduser().read_text(encoding="ascii").strip()
    except OSError as error:
        raise UsageError(f"The token file {path} cannot be read ({error.strerror}): {HINT}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"The file {path} contains no token: {HINT}.") from error
    if not token or not token.isprintable() or " " in token:
        raise UsageError(f"The file {path} contains no token: {HINT}.")
    return token
