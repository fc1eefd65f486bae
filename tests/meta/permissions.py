"""docs/reference/permissions.md as values."""

import re

from tests.meta.error_codes import ROOT

ROW = re.compile(r"^\| `([a-z_]+:[a-z_]+)` \| ([a-z ]+) \| (.+) \|$", re.M)


def listed() -> dict[str, frozenset[str]]:
    """Permission → the roles that have it."""
    rows = ROW.findall((ROOT / "docs/reference/permissions.md").read_text())
    return {permission: frozenset(roles.split()) for permission, roles, _ in rows}
