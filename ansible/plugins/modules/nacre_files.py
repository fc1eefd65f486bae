"""Write many small files on a host in one module call."""

from __future__ import annotations

import grp
import os
import pwd
import tempfile
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: nacre_files
short_description: Write many small files in one call
description:
  - Writes each file atomically with its owner and mode, making missing parent folders (0755, root).
  - One call costs as much as one M(ansible.builtin.copy); a role that owns ten files pays once.
options:
  files:
    description: The files, each with I(path) and either I(content) or I(secret).
    type: list
    elements: dict
    default: []
    suboptions:
      path: {type: path, required: true, description: Where the file lies.}
      content: {type: str, description: Its text; shown in a diff.}
      secret: {type: str, description: Its text; never shown or logged.}
      mode: {type: str, default: "0644", description: Octal permissions.}
      owner: {type: str, default: root, description: User name; empty keeps the caller.}
      group: {type: str, default: root, description: Group name; empty keeps the caller's.}
  folders:
    description: Folders that need another owner or mode than 0755 root.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {type: path, required: true, description: Where the folder lies.}
      mode: {type: str, default: "0755", description: Octal permissions.}
      owner: {type: str, default: root, description: User name; empty keeps the caller.}
      group: {type: str, default: root, description: Group name; empty keeps the caller's.}
author: Nacre
"""

EXAMPLES = r"""
- name: Write two files
  nacre_files:
    files:
      - {path: /etc/motd, content: "hello\n"}
      - {path: /etc/token, secret: "{{ token }}", mode: "0600"}
"""

RETURN = r"""
paths:
  description: What was changed.
  type: list
  elements: str
  returned: always
"""

OWNED = {
    "path": {"type": "path", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
}
FILE = {
    **OWNED,
    "content": {"type": "str"},
    "secret": {"type": "str", "no_log": True},
    "mode": {"type": "str", "default": "0644"},
}
FOLDER = {**OWNED, "mode": {"type": "str", "default": "0755"}}


@dataclass(frozen=True)
class Attributes:
    """Owner, group and permissions; -1 keeps what the writing user gives."""

    uid: int
    gid: int
    mode: int

    @staticmethod
    def wanted(entry: dict[str, Any], check: bool) -> Attributes:
        """Raises KeyError for a user or group that the host does not know, unless this dry run would have made it."""
        try:
            uid = pwd.getpwnam(entry["owner"]).pw_uid if entry["owner"] else -1
            gid = grp.getgrnam(entry["group"]).gr_gid if entry["group"] else -1
        except KeyError:
            if not check:
                raise
            uid = gid = -1
        return Attributes(uid, gid, int(entry["mode"], 8))

    def differs(self, path: str) -> bool:
        seen = os.stat(path)
        return (
            seen.st_mode & 0o7777 != self.mode or self.uid not in (-1, seen.st_uid) or self.gid not in (-1, seen.st_gid)
        )

    def give(self, path: str) -> None:
        os.chown(path, self.uid, self.gid)
        os.chmod(path, self.mode)

    def __str__(self) -> str:
        return f"{self.mode:04o} {self.uid}:{self.gid}"


def read(path: str) -> str | None:
    """The file's text, or None when there is no file."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return None


def write(path: str, text: str, attributes: Attributes) -> None:
    """Replace the file in one step: a reader sees the old text or the new one, with the new permissions."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".nacre-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        attributes.give(temporary)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def put_folder(entry: dict[str, Any], check: bool) -> dict[str, str] | None:
    path, wanted = entry["path"], Attributes.wanted(entry, check)
    if os.path.isdir(path) and not wanted.differs(path):
        return None
    if not check:
        os.makedirs(path, mode=0o700, exist_ok=True)
        wanted.give(path)
    return {"before_header": path, "after_header": path, "before": "", "after": f"folder {wanted}\n"}


def put_file(entry: dict[str, Any], check: bool) -> dict[str, str] | None:
    """Write one file when it differs; its diff, or None when nothing had to change."""
    path, secret = entry["path"], entry["secret"] is not None
    text = entry["secret"] if secret else entry["content"]
    before, wanted = read(path), Attributes.wanted(entry, check)
    if before == text:
        return put_attributes(path, wanted, check)
    if not check:
        write(path, text, wanted)
    shown = ("(secret, old)\n", "(secret, new)\n") if secret else (before or "", text)
    return {"before_header": path, "after_header": path, "before": shown[0], "after": shown[1]}


def put_attributes(path: str, wanted: Attributes, check: bool) -> dict[str, str] | None:
    if not wanted.differs(path):
        return None
    seen = os.stat(path)
    before = Attributes(seen.st_uid, seen.st_gid, seen.st_mode & 0o7777)
    if not check:
        wanted.give(path)
    return {"before_header": path, "after_header": path, "before": f"{before}\n", "after": f"{wanted}\n"}


def main() -> None:
    files = {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": FILE,
        "mutually_exclusive": [("content", "secret")],
        "required_one_of": [("content", "secret")],
    }
    folders = {"type": "list", "elements": "dict", "default": [], "options": FOLDER}
    module = AnsibleModule(argument_spec={"files": files, "folders": folders}, supports_check_mode=True)
    try:
        diffs = [put_folder(entry, module.check_mode) for entry in module.params["folders"]]
        diffs += [put_file(entry, module.check_mode) for entry in module.params["files"]]
    except (OSError, KeyError) as error:
        module.fail_json(msg=str(error))
    changes = [diff for diff in diffs if diff]
    module.exit_json(changed=bool(changes), diff=changes, paths=[change["after_header"] for change in changes])


if __name__ == "__main__":
    main()
