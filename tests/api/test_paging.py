"""Lists in pages: every row once, in order, however many there are and whatever changes meanwhile."""

import base64
import json
from datetime import timedelta

import pytest

from service.api.routes import ROUTES
from service.db import queries
from service.db.engine.database import transaction, unit_of_work
from service.db.scope import EVERYTHING, Scope
from service.db.tables import Audit, Flavor, Image, Vm
from service.edge.paging import Order
from service.jobs.job_tables import Job
from service.jobs.views import visible_jobs
from tests.api.conform import EVERY
from tests.api.world import Cloud, expect

LISTS = [route for route in ROUTES if getattr(route.reply, "__name__", "").startswith("Page[")]


def make_flavors(cloud, count: int) -> None:
    """Many at the same moment, so that the id must settle their order."""
    with transaction(cloud.db):
        for number in range(count):
            Flavor.create(
                id=cloud.ctx.ids.uuid(),
                created_at=cloud.clock.now() + timedelta(seconds=number // 4),
                name=f"f{(number * 7) % count:03}",
                vcpus=1,
                max_vcpus=1,
                memory_mib=64,
                max_memory_mib=64,
                disk_bytes=1,
            )


def pages(cloud, path: str, **query) -> list[list[dict]]:
    """All pages, by the token; the link says the same."""
    found, token = [], None
    while True:
        answer = cloud.api.get(path, params=query | ({"page_token": token} if token else {}))
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["items"])
        token = answer.json()["next_page_token"]
        if token is None:
            assert "next" not in answer.links
            return found
        assert cloud.api.get(answer.links["next"]["url"]).json() == next_page(cloud, path, query, token)


def next_page(cloud, path: str, query: dict, token: str) -> dict:
    return cloud.api.get(path, params=query | {"page_token": token}).json()


@pytest.mark.parametrize("sort", ["name", "-name", "created_at", "-created_at"])
def test_all_pages_together_are_the_whole_list_in_its_order(empty, sort):
    make_flavors(empty, 23)
    found = pages(empty, "/v1/flavors", limit=5, sort=sort)
    assert [len(page) for page in found] == [5, 5, 5, 5, 3]
    rows = [row for page in found for row in page]
    key = sort.removeprefix("-")
    assert rows == sorted(rows, key=lambda row: (row[key], row["id"]), reverse=sort.startswith("-"))
    assert len({row["id"] for row in rows}) == 23


def test_a_page_that_holds_all_has_no_next(empty):
    make_flavors(empty, 5)
    assert [len(page) for page in pages(empty, "/v1/flavors", limit=5)] == [5]
    assert empty.api.get("/v1/vms").json() == {"items": [], "next_page_token": None}


def test_what_comes_and_goes_between_two_pages_moves_no_other_row(empty):
    make_flavors(empty, 10)
    first = empty.api.get("/v1/flavors", params={"limit": 5}).json()
    empty.change(Flavor.delete().where(Flavor.name.in_(["f000", "f004", "f007"])))
    empty.flavor("f0045")
    second = empty.api.get("/v1/flavors", params={"limit": 5, "page_token": first["next_page_token"]}).json()
    assert [row["name"] for row in second["items"]] == ["f0045", "f005", "f006", "f008", "f009"]


def test_filters_hold_on_every_page_and_are_in_the_link(cloud):
    for name in ("a", "b", "c"):
        cloud.make_vm(name)
    cloud.done(cloud.api.post("/v1/vms/b/force-off"))
    found = pages(cloud, "/v1/vms", limit=1, observed_state="running", flavor="small")
    assert [row["name"] for page in found for row in page] == ["a", "c"]
    assert pages(cloud, "/v1/vms", name="b")[0][0]["observed_state"] == "stopped"
    assert pages(cloud, "/v1/vms", host=cloud.vm("a")["host"], image="mini")[0]
    for filter_ in ({"host": "nothing"}, {"flavor": "nothing"}, {"image": "nothing"}, {"name": "nothing"}):
        assert pages(cloud, "/v1/vms", **filter_) == [[]]


def forged(*position: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "!!!!",
        "\u00e9",
        forged(),
        forged("name", "a"),
        forged("name", 1, "b"),
        forged("name", "a", 1),
        forged("name", "a\x00", "b"),
        forged("name", ["a"], "b"),
        forged("name", True, "b"),
        forged("created_at", 1, "b"),
        forged("-name", "a", "b"),
        base64.urlsafe_b64encode(b"[" * 700).decode(),
    ],
)
def test_a_token_that_is_none_of_this_list_is_refused(empty, token):
    document = expect(empty.api.get("/v1/flavors", params={"page_token": token}), 422, "request.page_token")
    assert document["errors"][0]["field"] == "page_token"


def test_a_token_belongs_to_its_order(empty):
    make_flavors(empty, 3)
    token = empty.api.get("/v1/flavors", params={"limit": 1, "sort": "created_at"}).json()["next_page_token"]
    expect(empty.api.get("/v1/flavors", params={"page_token": token}), 422, "request.page_token")


@pytest.mark.parametrize("time", ["NaN", "1e999", "99999999999999999999", "true", "1.5"])
def test_a_time_that_is_none_is_refused(empty, time):
    token = base64.urlsafe_b64encode(f'["created_at",{time},"b"]'.encode()).decode().rstrip("=")
    query = {"sort": "created_at", "page_token": token}
    expect(empty.api.get("/v1/flavors", params=query), 422, "request.page_token")


@pytest.mark.parametrize("limit", ["0", "-1", "501", "1.0", "1e2", "x", "", " 1", "+1", "1_0", "\u0661", "true"])
def test_a_limit_that_is_none_is_refused(empty, limit):
    document = expect(empty.api.get("/v1/flavors", params={"limit": limit}), 422, "request.invalid")
    assert document["errors"][0]["field"] == "limit"


@pytest.mark.parametrize("sort", ["", "id", "sha256", "name,created_at", "--name", "name;DROP TABLE vm"])
def test_a_list_is_sorted_by_what_it_says_only(empty, sort):
    assert expect(empty.api.get("/v1/flavors", params={"sort": sort}), 422, "request.invalid")


@pytest.mark.parametrize("route", LISTS, ids=lambda route: route.path)
def test_every_list_has_pages(cloud, route):
    assert {"limit", "page_token", "sort"} <= set(route.parameters.model_fields)
    path = route.path.replace("<ref>", "default")
    assert cloud.api.get(path, params={"limit": 1}).json().keys() == {"items", "next_page_token"}


def test_no_list_is_without_pages():
    lists = {
        route.path for route in EVERY if route.method == "GET" and "items" in getattr(route.reply, "model_fields", {})
    }
    assert lists - {route.path for route in LISTS} <= {"/v1/tokens", "/v1/projects/<ref>/quotas"}
    assert len(LISTS) > 8


ONE = Scope("p", frozenset({"p"}))
PLANS = [
    (lambda: queries.readable(Vm, EVERYTHING), Vm.name, Vm.id),
    (lambda: queries.readable(Vm, EVERYTHING), Vm.created_at, Vm.id),
    (lambda: queries.readable(Vm, ONE), Vm.name, Vm.id),
    (lambda: queries.readable(Image, EVERYTHING), Image.name, Image.id),
    (lambda: queries.readable(Image, EVERYTHING), Image.created_at, Image.id),
    (lambda: visible_jobs(EVERYTHING), Job.created_at, Job.id),
    (lambda: visible_jobs(ONE), Job.created_at, Job.id),
    (Audit.select, Audit.created_at, Audit.id),
]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("plan", range(len(PLANS)))
def test_a_page_is_read_from_an_index_and_nothing_is_sorted(tmp_path, schema, plan, descending):
    from_, column, key = PLANS[plan]
    cloud = Cloud(tmp_path, schema)  # SQLite's own words about its plan
    order = Order("", column, key, descending)
    with unit_of_work(cloud.db):
        query = from_().where(order.after(column.python_value(1), "x")).order_by(*order.clauses()).limit(101)
        sql, values = query.sql()
        steps = [row[3] for row in cloud.db.execute_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert any("USING INDEX" in step for step in steps), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps
