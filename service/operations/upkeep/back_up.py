"""Write the control plane's state to a file, while the service may run.

The file has a snapshot of the database, the secret key and the settings.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
from datetime import datetime
from pathlib import Path

from service.db.engine import dump
from service.db.engine.database import Database
from service.settings import Settings

FORMAT = 1
MANIFEST, DATABASE, SECRET_KEY, SETTINGS = "manifest.json", "database", "secret.key", "settings.toml"
CHUNK_BYTES = 1 << 20


def back_up(settings: Settings, db: Database, file: Path, *, now: datetime, settings_file: Path) -> None:
    """Write `file` (a tar archive, mode 0600) atomically; an existing one is replaced.

    Raises OSError, UnavailableError.
    """
    file = file.absolute()
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
        parts = {DATABASE: Path(folder, DATABASE), SECRET_KEY: settings.secret_key_path, SETTINGS: settings_file}
        dump.dump(db, parts[DATABASE])
        parts = {name: path for name, path in parts.items() if path.exists()}
        draft = Path(folder, "archive")
        _write(draft, _manifest(db, parts, now), parts)
        draft.replace(file)
    _sync_folder(file.parent)


def _manifest(db: Database, parts: dict[str, Path], now: datetime) -> bytes:
    facts = {
        "format": FORMAT,
        "made_at": now.isoformat(),
        "product": dump.product(db),
        "migrations": dump.applied_migrations(db),
        "sha256": {name: digest(path) for name, path in parts.items()},
    }
    return json.dumps(facts, indent=1, sort_keys=True).encode()


def _write(draft: Path, manifest: bytes, parts: dict[str, Path]) -> None:
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            member = tarfile.TarInfo(MANIFEST)
            member.size = len(manifest)
            archive.addfile(member, io.BytesIO(manifest))
            for name, path in parts.items():
                archive.add(path, name, recursive=False)
        file.flush()
        os.fsync(file.fileno())


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
