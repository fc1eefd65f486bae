"""Rules of the tests themselves: what they import from each other, whose fixtures they use, what they may decide by."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
FOLDERS = ("unit", "api", "lab", "contract", "http", "golden", "meta")
FILES = sorted(TESTS.rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in FILES}
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
CLOCKS = ("monotonic", "perf_counter", "process_time", "thread_time", "time")


def folder(path: Path) -> str:
    """The suite that a file is of; "" for what they share."""
    first = path.relative_to(TESTS).parts[0]
    return first if first in FOLDERS else ""


@functools.cache
def imported(path: Path) -> frozenset[str]:
    """Full names of what a file imports, wherever in it."""
    nodes = list(ast.walk(TREES[path]))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module is not None]
    return frozenset(names) | {f"{node.module}.{alias.name}" for node in froms for alias in node.names}


def foreign_imports(path: Path) -> Iterator[str]:
    """What a file imports from the suites of another folder."""
    for name in sorted(imported(path)):
        top, _, rest = name.partition(".")
        if top == "tests" and rest.split(".")[0] in set(FOLDERS) - {folder(path)}:
            yield f"{path.relative_to(ROOT)}: {name}"


@functools.cache
def fixtures(path: Path) -> dict[str, Path]:
    """The fixtures that a file defines or, for a conftest, takes from elsewhere, and where each is defined."""
    own = {node.name: path for node in TREES[path].body if isinstance(node, ast.FunctionDef) and is_fixture(node)}
    if path.name != "conftest.py":
        return own
    taken = [name.rpartition(".")[::2] for name in imported(path)]
    return own | {name: MODULES[source] for source, name in taken if name in found_in(source)}


def found_in(name: str) -> dict[str, Path]:
    """The fixtures of a module of the tests; none for another."""
    return fixtures(MODULES[name]) if name in MODULES else {}


def is_fixture(function: ast.FunctionDef) -> bool:
    """Whether pytest makes a fixture of it, under its own name."""
    return any("pytest.fixture" in ast.unparse(decorator) for decorator in function.decorator_list)


def above(path: Path) -> list[Path]:
    """The conftests whose fixtures a file sees."""
    folders = [parent for parent in path.parents if parent.is_relative_to(TESTS)]
    return [conftest for parent in folders if (conftest := parent / "conftest.py") in TREES and conftest != path]


def is_upper_bound(node: ast.AST) -> bool:
    """Whether it compares a real time that has passed with a most: `time.monotonic() - began < 2`."""
    if not isinstance(node, ast.Compare):
        return False
    sides = [node.left, *node.comparators]
    pairs = list(zip(sides, node.ops, sides[1:], strict=False))
    smaller = [left for left, operator, _ in pairs if isinstance(operator, ast.Lt | ast.LtE)]
    smaller += [right for _, operator, right in pairs if isinstance(operator, ast.Gt | ast.GtE)]
    return any(map(is_elapsed, smaller))


def is_elapsed(node: ast.AST) -> bool:
    """Whether it is the real time since some moment."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Sub):
        return False
    calls = [ast.unparse(call.func) for call in ast.walk(node.left) if isinstance(call, ast.Call)]
    return any(f"time.{clock}" in calls for clock in CLOCKS)


def test_no_suite_imports_from_another():
    assert [line for path in FILES for line in foreign_imports(path)] == []


def test_no_fixture_shadows_another():
    assert "postgres" in fixtures(TESTS / "conftest.py")
    assert "storage" in fixtures(TESTS / "contract/conftest.py"), "taken from a file of its own"
    guilty = [
        f"{path.relative_to(ROOT)}: {name} is in {conftest.relative_to(ROOT)}"
        for path in FILES
        for conftest in above(path)
        for name in sorted(fixtures(path).keys() & fixtures(conftest).keys())
        if fixtures(path)[name] != fixtures(conftest)[name]
    ]
    assert guilty == []


def test_no_test_fails_because_a_computer_is_slow():
    """An end is waited for with a generous deadline whose passing is the failure; a time that was taken is no fact."""
    guilty = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if is_upper_bound(node)
    ]
    assert guilty == []


def test_an_upper_bound_of_elapsed_time_is_recognised():
    bounds = ["time.monotonic() - began < 2", "2 < time.time() - began < 10", "5 >= time.perf_counter() - began"]
    others = ["time.monotonic() < deadline", "time.monotonic() - began > 2", "clock.monotonic() - began < 5"]
    found = [any(map(is_upper_bound, ast.walk(ast.parse(text)))) for text in bounds + others]
    assert found == [True] * len(bounds) + [False] * len(others)
