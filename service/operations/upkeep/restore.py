"""Put the control plane's state back from a file, then look where every VM is: much may have happened since.

A VM may have moved after the back-up was made. Starting it where the back-up says, or because it is missing there,
would run it twice. So the service is kept from starting until all hosts were asked. What was under way when the back-up
was made is neither gone on with nor taken back: its disks may have been in use for days.
"""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.context import Context
from service.db.engine import dump
from service.db.engine.migrate import MIGRATIONS, migrate
from service.errors import ConflictError, InvalidError
from service.operations.upkeep.back_up import DATABASE, FORMAT, MANIFEST, SECRET_KEY, SETTINGS, digest
from service.operations.upkeep.reconcile_restored import Settled, settle

KNOWN_PARTS = (DATABASE, SECRET_KEY, SETTINGS)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back: of which moment, and what the look at the hosts found."""

    made_at: str
    settled: Settled

    def text(self) -> str:
        """Line by line, for people."""
        found = self.settled
        lines = {
            "back-up of": (self.made_at,),
            "run on another host than then": found.moved,
            "ran then, run nowhere now": found.stopped,
            "jobs that were under way then, ended": found.ended_jobs,
            "domains that the back-up does not know": found.unknown,
            "hosts that did not answer": found.silent,
        }
        return "".join(f"{label}: {', '.join(what) or '-'}\n" for label, what in lines.items())


def restore(ctx: Context, file: Path, *, silent_hosts_are_off: bool) -> Restored:
    """Replace the state; can be done again until it succeeds. The settings in the file are for people to look at.

    Raises InvalidError for what is no back-up, ConflictError (`restore.in_use`, `restore.newer`, `restore.product`,
    `restore.host_silent`, `restore.vm_twice`), UnavailableError, OSError.
    """
    with tempfile.TemporaryDirectory(prefix=".restore.", dir=ctx.settings.state_dir) as folder:
        manifest = _unpack(file, Path(folder))
        _check(ctx, manifest)
        dump.load(ctx.db, Path(folder, DATABASE))
        _put_back_key(Path(folder, SECRET_KEY), ctx.settings.secret_key_path)
    migrate(ctx.db, restoring=True)
    return Restored(str(manifest["made_at"]), settle(ctx, silent_hosts_are_off=silent_hosts_are_off))


def _unpack(file: Path, folder: Path) -> dict[str, Any]:
    """The manifest; beside it in `folder` the parts that it vouches for. Raises InvalidError, OSError."""
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
    """Under the name that is asked for, whatever else the archive says of it. Silent when it is not there."""
    if name in archive.getnames() and (content := archive.extractfile(name)) is not None:
        with content, Path(folder, name).open("wb") as copy:
            shutil.copyfileobj(content, copy)


def _is_whole(digests: dict[str, str], folder: Path) -> bool:
    parts = {name: Path(folder, name) for name in KNOWN_PARTS}
    return DATABASE in digests and all(
        digests.get(name) == (digest(path) if path.exists() else None) for name, path in parts.items()
    )


def _invalid(file: Path) -> InvalidError:
    return InvalidError(f"{file} is no back-up of Nacre, is damaged, or of another format.", code="restore.invalid")


def _check(ctx: Context, manifest: dict[str, Any]) -> None:
    newer = set(manifest["migrations"]) - {path.stem for path in MIGRATIONS.glob("[0-9]*.py")}
    if newer:
        told = f"The back-up has {', '.join(sorted(newer))}, which this version does not know: install the newer one."
        raise ConflictError(told, code="restore.newer")
    if manifest["product"] != dump.product(ctx.db):
        told = f"The back-up is of {manifest['product']}, the settings name {dump.product(ctx.db)}."
        raise ConflictError(told, code="restore.product")


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
