"""Every error code that the code can raise, read from the source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from service.db.queries import KIND

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"[a-z]+(_[a-z]+)?\.[a-z_]+")
# Dotted words that are no codes: files, keys of the WSGI environment and of Bottle's settings, a cephx user, fields.
OTHERS = re.compile(r".*\.(pem|db|key|json|toml)|(root|nacre|wsgi|bottle|json|client)\..*")


def raised() -> frozenset[str]:
    """All codes. `f"{kind}.not_found"` stands for one of each kind of object."""
    files = [path for path in (ROOT / "service").rglob("*.py") if path.parent.name not in ("cli", "migrations")]
    found = {code for path in files for code in _codes(ast.parse(path.read_text()))}
    return frozenset(code for code in found if not OTHERS.fullmatch(code))


def _codes(tree: ast.AST) -> Iterator[str]:
    skipped = {id(part) for node in ast.walk(tree) if _is_log_call(node) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
            yield node.value
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "check_idle":
            yield f"{ast.literal_eval(node.args[0])}.busy"
        if isinstance(node, ast.JoinedStr) and _is_kind_code(node):
            yield from (f"{kind}{node.values[1].value}" for kind in KIND.values())


def _is_log_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "log"


def _is_kind_code(node: ast.JoinedStr) -> bool:
    first = node.values[0]
    if len(node.values) != 2 or not isinstance(first, ast.FormattedValue) or ast.unparse(first.value) != "kind":
        return False
    return isinstance(node.values[1], ast.Constant) and node.values[1].value == ".not_found"


def listed() -> dict[str, tuple[str, str, str]]:
    """docs/reference/errors.md: code → (HTTP status, when, next step)."""
    rows = re.findall(
        r"^\| `([a-z._]+)` \| ([0-9-]+) \| (.+?) \| (.+?) \|$", (ROOT / "docs/reference/errors.md").read_text(), re.M
    )
    assert len({code for code, *_ in rows}) == len(rows), "a code is listed twice"
    return {code: (status, when, then) for code, status, when, then in rows}
