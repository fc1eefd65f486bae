"""The description of the API: it is of every route, of nothing else, valid, committed, and shown without a token."""

import json
from collections import Counter
from pathlib import Path

import jsonschema_rs
import pytest

from service.api import reference
from service.api.openapi import document, operation_id, path_of
from service.api.routes import ROUTES

ABOUT = document(ROUTES)
OPERATIONS = [operation for path in ABOUT["paths"].values() for operation in path.values()]
COMMITTED = Path(__file__).parents[2] / "docs/reference/openapi.json"


def test_the_committed_copy_is_the_generated_one():
    told = "python -m service openapi --out docs/reference/openapi.json"
    assert COMMITTED.read_text() == reference.text(ROUTES), told


def test_every_route_is_described_and_nothing_else():
    described = {(path, method) for path, operations in ABOUT["paths"].items() for method in operations}
    assert described == {(path_of(route), route.method.lower()) for route in ROUTES}


def test_every_operation_has_a_name_of_its_own_and_a_summary():
    assert not [name for name, count in Counter(map(operation_id, ROUTES)).items() if count > 1]
    assert all(operation["summary"] for operation in OPERATIONS)


@pytest.mark.parametrize("name", sorted(ABOUT["components"]["schemas"]))
def test_every_model_is_a_valid_schema(name):
    jsonschema_rs.meta.validate(ABOUT["components"]["schemas"][name])


def test_every_parameter_is_a_valid_schema():
    parameters = [parameter for operation in OPERATIONS for parameter in operation["parameters"]]
    assert len(parameters) > 100
    for parameter in parameters:
        jsonschema_rs.meta.validate(parameter["schema"])
        assert not {"ge", "le", "gt", "lt"} & parameter["schema"].keys()


def test_what_is_referred_to_is_there():
    for ref in references(ABOUT):
        found = ABOUT
        for part in ref.removeprefix("#/").split("/"):
            found = found[part]


def references(value) -> set[str]:
    if isinstance(value, list):
        return {ref for item in value for ref in references(item)}
    if not isinstance(value, dict):
        return set()
    here = {value["$ref"]} if "$ref" in value else set()
    return here | {ref for item in value.values() for ref in references(item)}


def test_what_is_served_is_what_is_committed_and_wants_no_token(empty):
    served = empty.client(None).get("/openapi.json")
    assert served.headers["content-type"] == "application/json"
    assert served.json() == json.loads(COMMITTED.read_text())
    assert served.json()["openapi"] == "3.1.0"
    again = empty.client(None).get("/openapi.json", headers={"If-None-Match": served.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_page_to_read_fetches_nothing_and_tells_of_every_route(empty):
    page = empty.client(None).get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert all(path_of(route) in page.text for route in ROUTES)
    assert not [word for word in ("<script", "src=", "@import", "url(", "http://", "https://") if word in page.text]
