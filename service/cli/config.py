"""Where the API is and who we are: environment variables, else ~/.config/nacre/config.toml."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

import httpx

from service.cli.errors import UsageError

CONFIG_PATH = Path("~/.config/nacre/config.toml")
HINT = "set NACRE_URL and NACRE_TOKEN_FILE, or write url and token_file into ~/.config/nacre/config.toml"


@dataclass(frozen=True, slots=True)
class Config:
    """`ssh_key` is the private key that `nacre vm ssh` offers; its .pub goes into new VMs unless told otherwise."""

    url: str
    token: str
    ssh_key: Path | None


def load_config() -> Config:
    """Read the configuration. Raises UsageError with the next step."""
    file = _read_file(CONFIG_PATH.expanduser())
    url = os.environ.get("NACRE_URL") or file.get("url")
    token_file = os.environ.get("NACRE_TOKEN_FILE") or file.get("token_file")
    if not url or not token_file:
        raise UsageError(f"Where is the API? {HINT}.")
    key = os.environ.get("NACRE_SSH_KEY") or file.get("ssh_key")
    ssh_key = Path(key).expanduser() if key else None
    return Config(url=_checked_url(url), token=_read_token(Path(token_file)), ssh_key=ssh_key)


def _checked_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise UsageError(f"'{url}' is no URL ({error}): {HINT}.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UsageError(f"'{url}' is no URL of an API: it begins with http:// or https://.")
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
        raise UsageError(f"The file {path} holds no token: {HINT}.") from error
    if not token or not token.isprintable() or " " in token:
        raise UsageError(f"The file {path} holds no token: {HINT}.")
    return token
