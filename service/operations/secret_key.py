"""The control plane's secret key, from which short-lived passwords are derived.

256 random bits in a file with mode 0600. Every process of one control plane reads the same file; backups contain it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

KEY_BYTES = 32


def secret_key(path: Path) -> bytes:
    """Return the key; it is created at first use.

    If several processes create it at the same time, all use the one that was first.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        _make(path)
        return path.read_bytes()


def derive(path: Path, purpose: str, *parts: str) -> bytes:
    """Derive 32 bytes from the key, `purpose` and `parts`."""
    message = "\0".join((purpose, *parts)).encode()
    return hmac.new(secret_key(path), message, hashlib.sha256).digest()


def _make(path: Path) -> None:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        with suppress(FileExistsError):  # another process was first: use its key
            os.link(draft, path)  # atomic, and never replaces another's file
    finally:
        draft.unlink()
