"""Routes have permissions and tests; codes are documented; what is documented exists."""

import re
from pathlib import Path
from types import NoneType
from typing import get_args, get_type_hints

import pytest

from service.api.routes import ROUTES
from service.edge.models import Body, NoQuery
from service.edge.problem import STATUS_BY_CODE
from service.operations.authorise import MAY
from tests.meta.error_codes import ROOT, listed, raised

SOURCES = "\n".join(path.read_text() for path in (ROOT / "service").rglob("*.py"))
API_TESTS = "\n".join(path.read_text() for path in (ROOT / "tests/api").glob("test_*.py"))
API_TESTS += (ROOT / "tests/api/world.py").read_text()


def test_every_code_that_can_be_raised_is_documented_and_no_other():
    assert sorted(listed()) == sorted(raised())


def test_every_documented_code_has_a_reason_and_a_next_step():
    assert all(len(when) > 10 and len(then) > 8 for _, when, then in listed().values())


@pytest.mark.parametrize("code", sorted(STATUS_BY_CODE))
def test_a_status_that_comes_from_the_code_is_the_documented_one(code):
    assert listed()[code][0] == str(STATUS_BY_CODE[code])


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_has_a_permission_a_description_and_a_test(route):
    if route.permission is not None:  # what everybody may ask has none
        assert re.fullmatch(r"[a-z_]+:[a-z_]+", route.permission)
        assert (route.method == "GET") == route.permission.endswith(":read")
    assert route.handler.__doc__
    path = re.sub(r"<\w+>", lambda _: r'[^"/]+(?:"[^"]+"\][^"/]*)?', re.escape(route.path))
    assert re.search(rf'\.{route.method.lower()}\(\s*f?"{path}["?]', API_TESTS), "no test asks for it"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_handler_takes_the_body_and_the_query_that_its_route_names(route):
    body, query = get_args(get_type_hints(route.handler)["call"]) or (NoneType, NoQuery)
    empty = route.body in (None, "stream", Body)
    assert body is (NoneType if empty else route.body)
    assert issubclass(route.parameters, query)


def test_no_route_is_there_twice_and_no_permission_is_unused():
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
    asked = {route.permission for route in ROUTES if route.permission}
    asked |= set(re.findall(r'authorise\(\s*(?:call\.)?actor, "([a-z_]+:[a-z_]+)"', SOURCES))  # more, in a handler
    assert asked == set(MAY)


def test_every_test_of_the_api_is_about_a_code_that_exists():
    used = set(re.findall(r'expect\([^\n]*?[45]\d\d, "([a-z_]+\.[a-z_]+)"\)', API_TESTS))
    assert len(used) > 30
    assert used <= raised()
    assert Path(ROOT / "docs/reference/errors.md").exists()
