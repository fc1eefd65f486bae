"""Build a release: the wheel of a checkout with the wheels of everything that it depends on."""

from __future__ import annotations

import fcntl
import glob
import hashlib
import os
import shutil
import tarfile
import tempfile
import tomllib

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: nacre_release
short_description: Build a release of the control plane
description:
  - Makes C(nacre-ID.tar) in I(folder), holding the wheel of the checkout and those of all its dependencies, so that the
    machine that installs it needs no package index.
  - The id is the version and a hash of the checkout's files. A release that is there is not built again, and no package
    index is asked.
options:
  source: {type: path, required: true, description: The checkout.}
  folder: {type: path, required: true, description: Where releases are kept; the newest I(keep) of them.}
  python:
    description: The interpreter that builds, with pip; of the same minor version as the one that will run the release.
    type: path
    required: true
  keep: {type: int, default: 5, description: How many releases stay in the folder.}
author: Nacre
"""

EXAMPLES = r"""
- name: Build the release
  nacre_release: {source: /srv/nacre/checkout, folder: /srv/nacre/releases, python: /usr/bin/python3}
"""

RETURN = r"""
id: {description: The release's id., type: str, returned: always}
archive: {description: Path of the archive., type: str, returned: always}
"""

SOURCES = ("service", "storage", "templates")
SINGLE_FILES = ("README.md", "pyproject.toml")


def files_of(source: str) -> list[str]:
    """Every file that the wheel is made from, by its path in the checkout."""
    found = list(SINGLE_FILES)
    for top in SOURCES:
        for folder, folders, names in os.walk(os.path.join(source, top)):
            folders[:] = [name for name in folders if name != "__pycache__"]
            found += [os.path.relpath(os.path.join(folder, name), source) for name in names]
    return sorted(found)


def release_id(source: str) -> str:
    digest = hashlib.sha256()
    for name in files_of(source):
        with open(os.path.join(source, name), "rb") as file:
            digest.update(f"{name}\0{hashlib.sha256(file.read()).hexdigest()}\n".encode())
    with open(os.path.join(source, "pyproject.toml"), "rb") as file:
        version = tomllib.load(file)["project"]["version"]
    return f"{version}-{digest.hexdigest()[:12]}"


def build(module: AnsibleModule, archive: str) -> None:
    """The archive is renamed into place when it is whole."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(archive)) as scratch:
        wheels = os.path.join(scratch, "wheels")
        pip = [module.params["python"], "-m", "pip", "--disable-pip-version-check", "--quiet", "wheel"]
        module.run_command([*pip, "--wheel-dir", wheels, module.params["source"]], check_rc=True)
        draft = os.path.join(scratch, "draft.tar")
        with tarfile.open(draft, "w") as tar:
            for name in sorted(os.listdir(wheels)):
                tar.add(os.path.join(wheels, name), arcname=name)
        os.replace(draft, archive)


def prune(folder: str, keep: int) -> None:
    for path in sorted(glob.glob(os.path.join(folder, "nacre-*.tar")), key=os.path.getmtime)[:-keep]:
        os.unlink(path)


def build_once(module: AnsibleModule, archive: str) -> None:
    folder = os.path.dirname(archive)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two plays at once: the second finds what the first has built
        if not os.path.exists(archive):
            build(module, archive)
            prune(folder, module.params["keep"])


def main() -> None:
    path = {"type": "path", "required": True}
    options = {"source": path, "folder": path, "python": path, "keep": {"type": "int", "default": 5}}
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    if shutil.which(module.params["python"]) is None:
        module.fail_json(msg=f"there is no interpreter {module.params['python']}: set nacre_build_python")
    try:
        identity = release_id(module.params["source"])
        archive = os.path.join(module.params["folder"], f"nacre-{identity}.tar")
        missing = not os.path.exists(archive)
        if missing and not module.check_mode:
            build_once(module, archive)
    except OSError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=missing, id=identity, archive=archive)


if __name__ == "__main__":
    main()
