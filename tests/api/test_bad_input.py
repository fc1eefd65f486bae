"""What nobody should send: each gets a stable code, nothing has changed and nothing is left."""

import json

import pytest

from service.api.routes import ROUTES
from service.db import tables
from service.db.engine.database import unit_of_work
from service.edge.route import Route
from service.jobs import job_tables
from tests.api.world import MIB, Cloud, expect

BODIES = [route for route in ROUTES if isinstance(route.body, type) and route.permission and route.body.model_fields]
NAMED = [route for route in BODIES if route.method == "POST" and "name" in route.body.model_fields]
NOT_CHANGED = (*tables.TABLES, *job_tables.TABLES)
HOSTILE = [
    "a\x00b",
    "a\x07b",
    "a\nb",
    "a\x1b[31mb",
    "a\x7fb",
    "a\u0085b",
    "a\u202eb",
    "a\u200bb",
    "\ufeffab",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "{%print 1%}",
    "${7*7}",
    "$(id)",
    "`id`",
    "a;b",
    "a|b",
    "'; DROP TABLE vm; --",
    "../../etc/passwd",
    "..",
    "a/b",
    "a\\b",
    "a b",
    " ab",
    "ab ",
    "-ab",
    "ab\u0301",
    "عربي",
    "☃",
    "x" * 300,
    "",
    "dfb56d8a-8d83-5291-a680-5416517dc0bb",
]


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def ask(cloud: Cloud, route: Route, content: bytes):
    path = route.path.replace("<ref>", "nothing")
    return cloud.api.request(route.method, path, content=content)


def everything(cloud: Cloud) -> dict[str, list]:
    """All rows but those that count how often somebody tried."""
    with unit_of_work(cloud.db):
        return {
            table.__name__: sorted(map(repr, table.select().tuples()))
            for table in NOT_CHANGED
            if table is not tables.Token
        }


@pytest.mark.parametrize("route", NAMED, ids=named)
def test_no_name_that_could_do_harm_is_taken(cloud, route):
    before = everything(cloud)
    # A pool is its name: it has no id that a name could be taken for.
    for name in HOSTILE[:-1] if route.path == "/v1/pools" else HOSTILE:
        document = expect(ask(cloud, route, json.dumps({"name": name}).encode()), 422, "request.invalid")
        assert "name" in [error["field"] for error in document["errors"]], name
        assert len(name) < 5 or name not in json.dumps(document, ensure_ascii=False)
    assert everything(cloud) == before


@pytest.mark.parametrize("route", NAMED, ids=named)
def test_a_name_of_ten_megabytes_is_refused_unread(cloud, route):
    body = json.dumps({"name": "x" * (10 * MIB)}).encode()
    expect(ask(cloud, route, body), 413, "request.too_large")


def fields(route: Route, kinds: set[str]) -> list[str]:
    """The fields of a route's body that take values of these JSON types only."""
    found = []
    for name, schema in route.body.model_json_schema().get("properties", {}).items():
        types = {part.get("type") for part in schema.get("anyOf", [schema])} - {"null"}
        if types and types <= kinds:
            found.append(name)
    return found


WITH_NUMBERS = [route for route in BODIES if fields(route, {"integer", "number"})]
WITH_TEXT = [route for route in BODIES if fields(route, {"string"})]


@pytest.mark.parametrize("route", WITH_NUMBERS, ids=named)
@pytest.mark.parametrize("value", ["true", "false", '"1"', "1.5", "[1]", "{}", "-1", "99999999999999999999999"])
def test_only_a_number_in_its_bounds_is_a_number(cloud, route, value):
    for field in fields(route, {"integer"} if value == "1.5" else {"integer", "number"}):
        document = expect(ask(cloud, route, f'{{"{field}": {value}}}'.encode()), 422, "request.invalid")
        assert field in [error["field"] for error in document["errors"]]


@pytest.mark.parametrize("route", WITH_NUMBERS, ids=named)
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "0x10", "01", "1_000", "+1"])
def test_what_json_does_not_know_as_a_number_is_no_json(cloud, route, value):
    for field in fields(route, {"integer", "number"}):
        expect(ask(cloud, route, f'{{"{field}": {value}}}'.encode()), 400, "request.not_json")


@pytest.mark.parametrize("route", WITH_TEXT, ids=named)
@pytest.mark.parametrize("value", ["true", "1", "1.5", "[]", "{}"])
def test_only_text_is_text(cloud, route, value):
    for field in fields(route, {"string"}):
        document = expect(ask(cloud, route, f'{{"{field}": {value}}}'.encode()), 422, "request.invalid")
        assert field in [error["field"].partition(".")[0] for error in document["errors"]]


@pytest.mark.parametrize("route", BODIES, ids=named)
def test_a_key_that_comes_twice_or_is_not_known_is_refused(cloud, route):
    field = next(iter(route.body.model_fields))
    expect(ask(cloud, route, f'{{"{field}": 1, "{field}": 2}}'.encode()), 400, "request.not_json")
    document = expect(ask(cloud, route, b'{"__class__": 1, "constructor": {"a": 1}}'), 422, "request.invalid")
    assert {"__class__", "constructor"} <= {error["field"] for error in document["errors"]}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=1;sort=name", "limit"),
        ("limit=1%3Bsort=name", "limit"),
        ("limit=1%00", "limit"),
        ("sort=name%0d%0aX-Injected:%201", "sort"),
        ("name=%E2%80%AE", "name"),
        ("name=" + "x" * 300, "name"),
        ("project=%00", "project"),
        ("limit[]=1", "limit[]"),
        ("__proto__=1", "__proto__"),
    ],
)
def test_a_query_means_what_it_says_or_nothing(cloud, query, field):
    document = expect(cloud.api.get(f"/v1/vms?{query}"), 422, "request.invalid")
    assert [error["field"] for error in document["errors"]] == [field]


def test_an_id_of_another_kind_is_no_id(cloud):
    vm, flavor = cloud.make_vm(), cloud.api.get("/v1/flavors/small").json()
    image = cloud.api.get("/v1/images/mini").json()
    for kind, other in (("vms", flavor), ("flavors", vm), ("images", flavor), ("hosts", image), ("jobs", vm)):
        expect(cloud.api.get(f"/v1/{kind}/{other['id']}"), 404, f"{kind.removesuffix('s')}.not_found")
    before = everything(cloud)
    for wrong in ({"image": flavor["id"]}, {"flavor": image["id"]}, {"network": vm["id"]}):
        (field,) = wrong
        expect(cloud.create("other", **wrong), 422, f"{field}.not_found")
    expect(cloud.api.post("/v1/vms/web/migrate", json={"host": vm["id"]}), 422, "host.not_found")
    assert everything(cloud) == before


@pytest.mark.parametrize("header", ["X-Request-ID", "X-Reason", "Idempotency-Key", "If-Match", "If-None-Match"])
@pytest.mark.parametrize("value", ["\xff\xfe", "{{7*7}}", "a" * 5000, '"', "'; --"])
def test_no_header_is_a_fault(cloud, header, value):
    body = json.dumps({"name": "tiny", "vcpus": 1, "memory_mib": 64, "disk_gib": 1}).encode()
    answer = cloud.api.post("/v1/flavors", content=body, headers={header.encode(): value.encode("latin-1")})
    assert answer.status_code in (201, 400, 412, 422), answer.text
