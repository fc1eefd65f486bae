"""Restore the control plane's state from a backup, then observe where every VM is.

A VM may have been moved after the backup was made. Starting it on the host in the backup, or because it is missing
there, would run it twice. So the service cannot start until all hosts were observed. Jobs that were under way at the
time of the backup are neither resumed nor undone: their disks may have been in use for days.
"""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from service.context import Context
from service.db.engine import dump
from service.db.engine.migrate import MIGRATIONS, migrate
from service.errors import ConflictError, InvalidError
from service.json_types import JsonObject
from service.operations.upkeep.back_up import DATABASE, FORMAT, MANIFEST, SECRET_KEY, SETTINGS, digest
from service.operations.upkeep.reconcile_restored import Reconciled, reconcile

KNOWN_PARTS = (DATABASE, SECRET_KEY, SETTINGS)


@dataclass(frozen=True, slots=True)
class Restored:
    """Result of a restore: the moment of the backup and the reconciliation."""

    made_at: str
    reconciled: Reconciled

    def text(self) -> str:
        """Return a report for people, one line each."""
        found = self.reconciled
        lines = {
            "backup of": (self.made_at,),
            "VMs on another host than in the backup": found.moved,
            "VMs that ran in the backup and are on no host": found.stopped,
            "unfinished jobs of the backup, ended": found.ended_jobs,
            "domains that are not in the backup": found.unknown,
            "unreachable hosts": found.silent,
        }
        return "".join(f"{label}: {', '.join(what) or '-'}\n" for label, what in lines.items())


def restore(ctx: Context, file: Path, *, unreachable_hosts_are_off: bool) -> Restored:
    """Replace the state; may be repeated until it succeeds.

    The settings in the file are not restored. Raises InvalidError for a file that is no backup, ConflictError
    (`restore.in_use`, `restore.newer`, `restore.product`, `restore.host_unreachable`, `restore.vm_twice`),
    UnavailableError, OSError.
    """
    with tempfile.TemporaryDirectory(prefix=".restore.", dir=ctx.settings.state_dir) as folder:
        manifest = _unpack(file, Path(folder))
        _check(ctx, manifest)
        dump.load(ctx.db, Path(folder, DATABASE))
        _put_back_key(Path(folder, SECRET_KEY), ctx.settings.secret_key_path)
    migrate(ctx.db, restoring=True)
    return Restored(str(manifest["made_at"]), reconcile(ctx, unreachable_hosts_are_off=unreachable_hosts_are_off))


def _unpack(file: Path, folder: Path) -> JsonObject:
    """Unpack into `folder`, check the parts' digests and return the manifest.

    Raises InvalidError, OSError.
    """
    try:
        with tarfile.open(file, "r:") as archive:
            for name in (MANIFEST, *KNOWN_PARTS):
                _extract(archive, name, folder)
        manifest = json.loads(Path(folder, MANIFEST).read_text())
    except (tarfile.TarError, ValueError, FileNotFoundError) as error:
        raise _invalid(file) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or not _is_whole(manifest["sha256"], folder):
        raise _invalid(file)
    return manifest


def _extract(archive: tarfile.TarFile, name: str, folder: Path) -> None:
    """Extract a member under this name only; does nothing if it is missing."""
    if name in archive.getnames() and (content := archive.extractfile(name)) is not None:
        with content, Path(folder, name).open("wb") as copy:
            shutil.copyfileobj(content, copy)


def _is_whole(digests: dict[str, str], folder: Path) -> bool:
    parts = {name: Path(folder, name) for name in KNOWN_PARTS}
    return DATABASE in digests and all(
        digests.get(name) == (digest(path) if path.exists() else None) for name, path in parts.items()
    )


def _invalid(file: Path) -> InvalidError:
    return InvalidError(f"{file} is no backup of Nacre, or is damaged or of another format.", code="restore.invalid")


def _check(ctx: Context, manifest: JsonObject) -> None:
    newer = set(manifest["migrations"]) - {path.stem for path in MIGRATIONS.glob("[0-9]*.py")}
    if newer:
        detail = f"The backup has {', '.join(sorted(newer))}, unknown to this version: install the newer one."
        raise ConflictError(detail, code="restore.newer")
    if manifest["product"] != dump.product(ctx.db):
        detail = f"The backup is of {manifest['product']}, the settings name {dump.product(ctx.db)}: change them."
        raise ConflictError(detail, code="restore.product")


def _put_back_key(source: Path, target: Path) -> None:
    if not source.exists():
        return
    draft = target.with_name(f"{target.name}.restored")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(source.read_bytes())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)
