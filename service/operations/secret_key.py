"""The control plane's own secret: 256 random bits in a file of its owner's, from which short-lived passwords are made.

Every process of one control plane reads the same file; a back-up takes it along.
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
    """The key; made at first use. Of any number of processes that make it together, one's is kept by all."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        _make(path)
        return path.read_bytes()


def derive(path: Path, purpose: str, *parts: str) -> bytes:
    """32 bytes that only a holder of the key can tell from `purpose` and `parts`."""
    message = "\0".join((purpose, *parts)).encode()
    return hmac.new(secret_key(path), message, hashlib.sha256).digest()


def _make(path: Path) -> None:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        with suppress(FileExistsError):  # another process was first: its key is everybody's
            os.link(draft, path)  # a whole file or none, and never over another's
    finally:
        draft.unlink()
