"""Public texts use one verb per action; docstrings start plainly; the number of banned words only falls."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperCommand, TyperGroup

from service.api import openapi
from service.api.routes import ROUTES
from service.cli.main import app
from tests.meta.error_codes import ROOT

# In service/ and storage/: the old name of a stored member in a migration. Never raise it.
BANNED_WORDS = 2
BANNED = re.compile(r"\b(nobody|somebody|everybody|whoever|nought|anew|told|burnt)\b", re.IGNORECASE)
LONGEST_LINE = 80
# Verb → the HTTP methods of routes that it may begin the summary of; none: of commands only.
VERBS = {
    "Abandon": "DELETE", "Activate": "", "Add": "POST PUT", "Adopt": "POST", "Apply": "PUT", "Attach": "POST",
    "Cancel": "DELETE", "Check": "POST", "Confirm": "POST", "Cordon": "", "Create": "POST", "Delete": "DELETE",
    "Detach": "POST", "Disable": "", "Eject": "POST", "Enable": "", "Force off": "POST", "Grant": "PUT", "Grow": "POST",
    "Import": "POST", "Insert": "POST", "List": "GET", "Log in": "POST", "Log out": "DELETE", "Migrate": "POST",
    "Open": "POST", "Pause": "POST", "Release": "POST", "Remove": "DELETE", "Rename": "POST", "Replay": "POST",
    "Reset": "POST", "Resize": "POST", "Resume": "POST", "Revoke": "DELETE", "Send": "PATCH", "Set": "PUT",
    "Share": "PUT", "Show": "GET", "Shut down": "POST", "Simulate": "POST", "Start": "POST", "Stream": "GET",
    "Take": "POST", "Unshare": "DELETE", "Update": "PATCH", "Upload": "",
}  # fmt: skip
# Audit actions and jobs that the service starts by itself; change_medium is insert and eject.
OWN_ACTIONS = {"vm_state", "host_state", "host_strays"}
OWN_JOBS = {
    "change_medium", "forecast_usage", "observe_hosts", "observe_storage", "observe_vms", "purge_jobs", "restore_vms",
    "sweep_images",
}  # fmt: skip
# Command → the route of the same act, where it does not follow from the command's name.
ROUTE_OF = {
    "audit": "GET /v1/audit",
    "events": "GET /v1/events",
    "host activate": None,  # one field of PATCH /v1/hosts/<ref>
    "host check": "POST /v1/host-checks",
    "host cordon": None,  # one field of PATCH /v1/hosts/<ref>
    "host-group add": "PUT /v1/host-groups/<ref>/hosts/<host>",
    "host-group grant": "PUT /v1/projects/<ref>/host-groups/<group>",
    "host-group remove": "DELETE /v1/host-groups/<ref>/hosts/<host>",
    "host-group revoke": "DELETE /v1/projects/<ref>/host-groups/<group>",
    "image abandon": "DELETE /v1/uploads/<ref>",
    "image import": "POST /v1/images",
    "image share": "PUT /v1/images/<ref>/projects/<project>",
    "image unshare": "DELETE /v1/images/<ref>/projects/<project>",
    "image upload": None,  # POST and many PATCH of /v1/uploads
    "image uploads": "GET /v1/uploads",
    "job cancel": "DELETE /v1/jobs/<ref>",
    "login": "POST /v1/login",
    "logout": "DELETE /v1/login",
    "password": "PUT /v1/me/password",
    "placement simulate": "POST /v1/placements:simulate",
    "pool health": "GET /v1/storage",
    "project add-user": "PUT /v1/projects/<ref>/members/<user>",
    "project quota set": "PUT /v1/projects/<ref>/quotas/<resource>",
    "project quota show": "GET /v1/projects/<ref>/quotas",
    "project remove-user": "DELETE /v1/projects/<ref>/members/<user>",
    "token revoke": "DELETE /v1/tokens/<ref>",
    "user disable": None,  # one field of PATCH /v1/users/<ref>
    "user enable": None,  # one field of PATCH /v1/users/<ref>
    "vm adopt": "POST /v1/adoptions",
    "vm apply": "PUT /v1/vms/<ref>",
    "vm console": "POST /v1/vms/<ref>/consoles",
    "vm ssh": None,  # ssh, not the API
    "vm why": "GET /v1/vms/<ref>/placement",
    "whoami": "GET /v1/me",
}
BY_NAME = {
    "list": "GET /v1/{}",
    "create": "POST /v1/{}",
    "add": "POST /v1/{}",
    "show": "GET /v1/{}/<ref>",
    "history": "GET /v1/{}/<ref>/history",
    "set": "PATCH /v1/{}/<ref>",
    "delete": "DELETE /v1/{}/<ref>",
    "remove": "DELETE /v1/{}/<ref>",
}
SUMMARIES = {
    f"{route.method} {route.path}": openapi.document((route,))["paths"][openapi.path_of(route)][route.method.lower()][
        "summary"
    ]
    for route in ROUTES
}
CONTRACTS = ("storage/contract.py", "service/hypervisor/contract.py", "service/world.py")
BAD_START = re.compile(r"(What|Who|Whose|Whether|Where|When|How|One that|One's|That|Those)\b")


def commands(group: TyperGroup, prefix: str = "") -> Iterator[tuple[str, TyperCommand]]:
    """Yield every command below a group with its full name."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


CLI = typer.main.get_group(app)
COMMANDS = dict(commands(CLI))


def verb_of(text: str) -> str | None:
    """Return the verb of VERBS that a text begins with."""
    return next((verb for verb in VERBS if re.match(rf"{verb}\b", text)), None)


def first_line(doc: str | None) -> str:
    return inspect.cleandoc(doc or "").partition("\n")[0]


@pytest.mark.parametrize("route", SUMMARIES)
def test_every_route_s_summary_begins_with_a_verb_that_suits_its_method(route):
    summary = SUMMARIES[route]
    assert len(summary) <= LONGEST_LINE
    assert not summary.endswith(".")
    verb = verb_of(summary)
    assert verb is not None, f"'{summary}': begin with a verb of VERBS, or add one"
    assert route.partition(" ")[0] in VERBS[verb].split(), summary


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_s_help_begins_with_a_verb(name):
    line = first_line(COMMANDS[name].help)
    assert len(line) <= LONGEST_LINE, line
    assert verb_of(line) is not None, f"'{line}': begin with a verb of VERBS, or add one"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_its_route_have_the_same_verb(name):
    if name in ROUTE_OF:
        route = ROUTE_OF[name]
    else:
        noun, _, verb = name.rpartition(" ")
        route = BY_NAME.get(verb, f"POST /v1/{{}}/<ref>/{verb}").format(f"{noun}s")
    if route is not None:
        assert verb_of(first_line(COMMANDS[name].help)) == verb_of(SUMMARIES[route]), (route, SUMMARIES[route])


def test_every_command_that_is_named_here_exists():
    assert set(ROUTE_OF) <= set(COMMANDS)


def test_audit_actions_and_jobs_begin_with_the_same_verbs():
    sources = "\n".join(path.read_text() for path in (ROOT / "service").rglob("*.py"))
    actions = set(re.findall(r'audit\.record\(\s*\w+,\s*[\w.]+,\s*"(\w+)"', sources))
    pairs = re.findall(r'action = "(\w+)" if \w+ else "(\w+)"', sources)
    actions |= {action for pair in pairs for action in pair}
    kinds = set(re.findall(r'kind="(\w+)",\s*run=', sources))
    assert len(actions) > 20
    assert len(kinds) > 25
    named = (actions - OWN_ACTIONS) | (kinds - OWN_JOBS)
    assert sorted(name for name in named if verb_of(name.replace("_", " ").capitalize()) is None) == []


def documented(path: Path) -> Iterator[tuple[str, str]]:
    """Yield name and docstring of a module and of its public classes and functions, those in classes too."""
    tree = ast.parse(path.read_text())
    yield path.stem, ast.get_docstring(tree) or ""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, ast.get_docstring(node) or ""


def plain_sources() -> list[Path]:
    """Return the files whose docstrings follow the rules: the command line, contracts, handlers and models."""
    handlers = {Path(inspect.getsourcefile(inspect.unwrap(route.handler)) or "") for route in ROUTES}
    models = {
        Path(inspect.getsourcefile(model) or "")
        for route in ROUTES
        for model in (route.body, route.reply, route.parameters)
        if isinstance(model, type) and model.__module__.startswith("service.") and "[" not in model.__name__
    }
    return sorted({*(ROOT / "service/cli").glob("*.py"), *(ROOT / name for name in CONTRACTS), *handlers, *models})


@pytest.mark.parametrize("path", plain_sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_docstring_begins_with_a_short_line_that_names_the_thing(path):
    lines = {name: first_line(doc) for name, doc in documented(path)}
    assert [line for line in lines.values() if len(line) > LONGEST_LINE] == []
    assert [line for line in lines.values() if BAD_START.match(line)] == []


def test_the_number_of_banned_words_only_falls():
    files = [path for top in ("service", "storage") for path in (ROOT / top).rglob("*.py")]
    assert len(files) > 200
    found = sum(len(BANNED.findall(path.read_text())) for path in files)
    assert found <= BANNED_WORDS, f"{found} banned words, {BANNED_WORDS} allowed: write what you mean (CONTRIBUTING)"
    assert found == BANNED_WORDS, f"lower the constant to {found}"
