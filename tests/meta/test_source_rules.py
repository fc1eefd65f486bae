"""Rules of the house that no linter knows: where time, chance and threads come from, sizes, leftovers."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for top in ("service", "storage", "lab") for path in (ROOT / top).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
# The outside world: the context's own implementations, and drivers that libvirt's threads and ids belong to.
DRIVERS = re.compile(r"service/world\.py|service/hypervisor/(?!memory/)[\w/]+\.py|lab/.*")
WORLDLY = re.compile(
    r"\btime\.(sleep|time|monotonic)\(|\buuid[14]\(|\brandom\.random\(|\bthreading\.Thread\(|datetime\.now\("
)
LONGEST_FILE, LONGEST_FUNCTION = 400, 50
ASSERTS = re.compile(r"^\s*(assert |with pytest\.raises\()", re.MULTILINE)
LEFTOVERS = ("TO" + "DO", "FIX" + "ME", "Not" + "ImplementedError", "pragma: no " + "cover")
TEXTS = (".py", ".md", ".yml", ".yaml", ".toml", ".j2", ".sh", ".ini", ".cfg")
TOPS = ("service", "storage", "lab", "templates", "ansible", "tests", "docs", "bench")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_time_chance_and_threads_come_from_the_context():
    inner = [path for path in SOURCES if not DRIVERS.fullmatch(name(path))]
    assert len(inner) > 80
    guilty = [f"{name(path)}: {match[0]}" for path in inner if (match := WORLDLY.search(path.read_text()))]
    assert guilty == []


def test_only_the_ceph_backend_and_old_schemas_name_devices_as_rbd_does():
    word = "rbd" + "_name"
    allowed = re.compile(r"storage/ceph/.*|service/db/migrations/.*|tests/unit/test_\w+_migration\.py|tests/older_d.*")
    files = [path for top in TOPS for path in (ROOT / top).rglob("*") if path.suffix in (*TEXTS, ".json")]
    inner = [path for path in files if path.is_file() and not allowed.fullmatch(name(path))]
    assert len(inner) > 150
    assert [name(path) for path in inner if word in path.read_text(errors="replace")] == []


def test_kinds_of_attachments_are_known_to_the_storage_and_to_one_template():
    kinds = re.compile(r"from storage\.refs import [^\n]*\b(Rbd|File|Block)\b|protocol='|source (file|dev)=")
    files = [*SOURCES, *(ROOT / "templates/domain").glob("*.j2")]
    knowing = {name(path) for path in files if not name(path).startswith("storage/") and kinds.search(path.read_text())}
    # The check of a host looks for what only Ceph needs there: the libvirt secret and the configuration of librbd.
    assert knowing == {"templates/domain/source.xml.j2", "service/hypervisor/checks/preflight.py"}


def test_nothing_is_printed_but_by_the_command_line():
    guilty = [
        name(path)
        for path in SOURCES
        if name(path).startswith(("service/", "storage/")) and re.search(r"(?<![.\w])print\(", path.read_text())
    ]
    assert guilty == []


def test_no_file_is_too_long():
    assert [name(path) for path in SOURCES if len(path.read_text().splitlines()) > LONGEST_FILE] == []


def test_no_function_is_too_long():
    guilty = [
        f"{name(path)}: {node.name}"
        for path in SOURCES
        if "migrations" not in path.parts  # frozen copies of tables
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= LONGEST_FUNCTION
    ]
    assert guilty == []


@pytest.mark.parametrize("word", LEFTOVERS)
def test_nothing_is_left_for_later(word):
    files = [path for top in TOPS for path in (ROOT / top).rglob("*") if path.suffix in TEXTS and path.is_file()]
    files += [path for path in ROOT.glob("*") if path.suffix in TEXTS]
    assert len(files) > 150
    assert [name(path) for path in files if word in path.read_text(errors="replace")] == []


def test_every_file_of_tests_asserts_something():
    assert len(TESTS) > 20
    assert [name(path) for path in TESTS if not ASSERTS.search(path.read_text())] == []


def test_no_test_is_skipped_without_a_condition():
    guilty = [name(path) for path in TESTS if re.search(r"mark\.(skip\b|xfail)", path.read_text())]
    assert guilty == []


def test_ansible_is_no_package():
    assert not (ROOT / "ansible/__init__.py").exists()
