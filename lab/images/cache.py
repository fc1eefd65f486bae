"""Built files: made beside their final name and moved in one step, made again only when their inputs changed."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".lab" / "cache"
IMAGES = CACHE / "images"
PACKAGES = CACHE / "packages"


def fingerprint(words: Iterable[str], files: Iterable[Path]) -> str:
    """A hash over `words` and over the names and contents of `files`."""
    digest = hashlib.sha256()
    for word in words:
        digest.update(word.encode() + b"\0")
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def built(target: Path, stamp: str, make: Callable[[Path, Path], None], *, force: bool = False) -> Path:
    """`target`, made by `make(result, scratch folder)` unless it stands there with the same `stamp`.

    Two callers at once: the second waits and finds the file. A killed build leaves the old file as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    note = target.with_name(target.name + ".stamp")
    with target.with_name(target.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not force and target.exists() and note.exists() and note.read_text() == stamp:
            return target
        _drop_leftovers(target)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            make(scratch / target.name, scratch)
            note.unlink(missing_ok=True)
            os.replace(scratch / target.name, target)
            note.write_text(stamp)
        finally:
            shutil.rmtree(scratch)
    return target


def _drop_leftovers(target: Path) -> None:
    for folder in target.parent.glob(f".{target.name}.*"):
        shutil.rmtree(folder)
