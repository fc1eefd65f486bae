"""Debian packages as material: found, downloaded and unpacked with the computer's own apt, never installed."""

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab.images.errors import ImageError
from lab.images.run import run


@dataclass(frozen=True)
class Package:
    """The candidate version of one package."""

    name: str
    version: str
    sha256: str
    depends: str

    @property
    def file_name(self) -> str:
        return f"{self.name}_{self.sha256[:16]}.deb"


def find(*names: str) -> tuple[Package, ...]:
    """The versions apt would install now; the package lists are fetched once when a name is unknown to them."""
    try:
        return _show(names)
    except ImageError:
        run(["apt-get", "-qq", "update"], why="The package lists cannot be fetched, check the network and run again")
        return _show(names)


def _show(names: tuple[str, ...]) -> tuple[Package, ...]:
    why = f"Not all of {', '.join(names)} are in apt's lists"
    # One call for all: without its cache file apt reads all lists again in every call.
    text = run(["apt-cache", "show", "--no-all-versions", *names], why=why)
    found = {package.name: package for package in map(_package, text.strip().split("\n\n"))}
    if set(names) - set(found):
        raise ImageError(f"{why}.")
    return tuple(found[name] for name in names)


def _package(stanza: str) -> Package:
    fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and not line.startswith(" "))
    return Package(fields["Package"], fields["Version"], fields["SHA256"], fields.get("Depends", ""))


def kernel_of(meta: Package) -> str:
    """The name of the kernel package that a meta package such as linux-image-cloud-amd64 depends on."""
    return meta.depends.split(",")[0].split()[0]


def unpack(packages: tuple[Package, ...], *, store: Path, into: Path) -> None:
    """Download what `store` does not have yet and unpack everything under `into`."""
    store.mkdir(parents=True, exist_ok=True)
    into.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=2) as pool:
        for deb in list(pool.map(lambda package: _download(package, store), packages)):
            run(["dpkg", "-x", deb, into], why=f"{deb.name} cannot be unpacked, delete it and run again")


def _download(package: Package, store: Path) -> Path:
    kept = store / package.file_name
    if kept.exists() and _sha256(kept) == package.sha256:
        return kept
    folder = store / f"{package.name}.part"
    folder.mkdir(exist_ok=True)
    why = f"The package {package.name} cannot be downloaded, check the network, run `apt-get update` and try again"
    # apt-get downloads into the folder it is started in.
    options = ["-qq", "-o", "APT::Sandbox::User=root"]
    run(["env", f"--chdir={folder}", "apt-get", *options, "download", f"{package.name}={package.version}"], why=why)
    fresh = max(folder.glob("*.deb"), key=lambda path: path.stat().st_mtime)
    if _sha256(fresh) != package.sha256:
        raise ImageError(f"The package {package.name} arrived damaged; run again to fetch it anew.")
    fresh.replace(kept)
    shutil.rmtree(folder)
    return kept


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
