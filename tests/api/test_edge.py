"""The HTTP edge: who may ask, request ids, what is refused before any operation sees it."""

import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from service.api.routes import ROUTES
from service.db.tables import Token, User
from service.operations.authorise import MAY
from service.operations.people import tokens
from service.operations.registry import OPERATIONS
from service.worker.schedule import Periodic, Schedule
from tests.api.world import MIB, expect

HTTP_OF = {"stream": b"x", None: None}
GUARDED = [route for route in ROUTES if route.permission is not None]
UUID = "dfb56d8a-8d83-5291-a680-5416517dc0bb"


def ask(client, route, **more):
    return client.request(route.method, route.path.replace("<ref>", "nothing"), **more)


def named(route) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_every_route_wants_a_token(empty, route):
    answer = ask(empty.client(None), route)
    expect(answer, 401, "auth.required")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_every_route_gives_a_user_what_the_list_of_permissions_says(empty, route):
    answer = ask(empty.client("user"), route)
    refused = answer.status_code == 403
    assert refused == ("user" not in MAY[route.permission])
    if refused:
        assert route.permission in expect(answer, 403, "auth.forbidden")["detail"]


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_no_route_answers_an_admin_with_a_fault(empty, route):
    answer = ask(empty.api, route)
    assert answer.status_code in (200, 204, 404, 411, 422)
    assert answer.status_code < 400 or expect(answer, answer.status_code, answer.json()["code"])


@pytest.mark.parametrize("header", ["Bearer", "Bearer  ", "Basic abc", "nacre_abc", "Bearer\tx"])
def test_something_else_than_a_bearer_token_is_refused(empty, header):
    expect(empty.client(None).get("/v1/vms", headers={"Authorization": header}), 401, "auth.required")


@pytest.mark.parametrize("token", ["nacre_wrong", "x" * 5000, "' OR 1=1 --", "\xe9"])
def test_a_token_that_nobody_was_given_is_refused(empty, token):
    headers = {"Authorization": f"Bearer {token}".encode("latin-1")}
    expect(empty.client(None).get("/v1/vms", headers=headers), 401, "auth.bad_token")


def test_a_token_is_kept_as_its_digest_only_and_replaced_by_name(empty):
    old, new = empty.tokens["user"], tokens.new_secret()
    tokens.create(empty.ctx, name="user-token", role="user", secret=new)
    rows = empty.rows(Token)
    assert len(rows) == 4
    assert all(secret not in str(row.__data__) for row in rows for secret in (old, new))
    expect(empty.client("user").get("/v1/vms"), 401, "auth.bad_token")
    assert empty.client(None, Authorization=f"bearer {new}").get("/v1/vms").status_code == 200


def test_a_role_that_nobody_knows_may_do_nothing(empty):
    empty.change(User.update(role="guest").where(User.role == "user"))
    expect(empty.client("user").get("/v1/vms"), 403, "auth.forbidden")


def test_a_request_id_is_kept_when_it_is_harmless(empty):
    assert empty.api.get("/v1/vms", headers={"X-Request-ID": "try-1.2_3"}).headers["x-request-id"] == "try-1.2_3"


@pytest.mark.parametrize("sent", ["a" * 65, "a b", "a;b", "<b>", ""])
def test_a_request_id_that_could_do_harm_is_replaced(empty, sent):
    given = empty.api.get("/v1/vms", headers={"X-Request-ID": sent}).headers["x-request-id"]
    assert given != sent
    assert len(given) == 36


def test_the_request_id_is_in_the_job_and_in_the_problem(empty):
    headers = {"X-Request-ID": "mine"}
    body = {"name": "h", "address": "10.0.0.1", "vcpus": 2, "memory_mib": 1024}
    assert empty.api.post("/v1/hosts", json=body, headers=headers).json()["request_id"] == "mine"
    assert (
        expect(empty.api.post("/v1/hosts", json=body, headers=headers), 409, "host.name_taken")["request_id"] == "mine"
    )


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/vms/", "/v2/vms", "/v1/vms/a/b/c", "//v1/vms", "/v1/vms/.."])
def test_a_path_that_is_not_there_is_a_problem(empty, path):
    expect(empty.api.get(path), 404, "request.no_such_path")


def test_a_path_that_is_not_text_is_a_problem(empty):
    expect(empty.api.get("/v1/vms/web%ff"), 400, "request.bad_path")


@pytest.mark.parametrize(("method", "path"), [("PUT", "/v1/vms"), ("PATCH", "/v1/vms"), ("DELETE", "/healthz")])
def test_a_method_that_is_not_there_is_a_problem(empty, method, path):
    answer = empty.api.request(method, path)
    expect(answer, 405, "request.method_not_allowed")
    assert "GET" in answer.headers["allow"]


def test_head_is_get_without_a_body(empty):
    answer = empty.api.head("/v1/vms")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"name=web",
        b'{"name": "a", "name": "b"}',
        b'{"vcpus": NaN}',
        b'{"vcpus": Infinity}',
        b'{"vcpus": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe",
        b"\x00",
        b'{"vcpus": 1e999}',
        b'{"vcpus": -1e999}',
        b'{"name": "\\ud800"}',
        b'{"\\udc00": 1}',
    ],
    ids=[
        "cut",
        "form",
        "twice",
        "nan",
        "infinity",
        "huge-number",
        "deep-list",
        "deep-object",
        "not-utf8",
        "nul",
        "beyond",
        "beyond-below",
        "half",
        "half-key",
    ],
)
def test_a_body_that_is_not_json_is_a_problem(empty, body):
    expect(empty.api.post("/v1/flavors", content=body), 400, "request.not_json")


@pytest.mark.parametrize("body", [b"[]", b'"web"', b"1", b"null", b"true"])
def test_a_body_that_is_no_object_is_a_problem(empty, body):
    assert expect(empty.api.post("/v1/flavors", content=body), 422, "request.invalid")["errors"][0]["field"] == "body"


def test_a_body_of_ten_megabytes_is_refused_unread(empty):
    expect(empty.api.post("/v1/vms", content=b"x" * (10 * MIB)), 413, "request.too_large")


def test_a_body_without_a_length_is_read_no_further_than_the_limit(empty):
    chunks = (b" " * MIB for _ in range(10))
    expect(empty.api.post("/v1/vms", content=chunks), 413, "request.too_large")


def test_a_length_beyond_all_measure_is_too_large(empty):
    headers = {"Content-Length": "9" * 5000}
    expect(empty.api.post("/v1/flavors", content=b"{}", headers=headers), 413, "request.too_large")


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "0000002"])
def test_a_length_that_is_no_number_is_no_fault(empty, length):
    answer = empty.api.post("/v1/flavors", content=b"{}", headers={"Content-Length": length})
    expect(answer, 422, "request.invalid")


def test_an_empty_body_is_an_empty_object(empty):
    fields = {error["field"] for error in expect(empty.api.post("/v1/flavors"), 422, "request.invalid")["errors"]}
    assert fields == {"name", "vcpus", "memory_mib", "disk_gib"}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_body_of_another_media_type_is_refused(empty, kind):
    expect(empty.api.post("/v1/flavors", content=b"{}", headers={"Content-Type": kind}), 415, "request.media_type")
    headers = {"Content-Type": kind, "Upload-Offset": "0"}
    expect(empty.api.patch("/v1/uploads/a", content=b"x", headers=headers), 415, "request.media_type")


def test_a_charset_beside_the_media_type_is_fine(empty):
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    body = json.dumps({"name": "ü", "vcpus": 1}).encode()
    expect(empty.api.post("/v1/flavors", content=body, headers=headers), 422, "request.invalid")


def test_unknown_fields_are_named_and_the_values_are_not_told_back(empty):
    body = {"name": "a", "vcpus": 1, "memory_mib": 128, "disk_gib": 1, "password": "hunter2"}
    answer = empty.api.post("/v1/flavors", json=body)
    assert [error["field"] for error in expect(answer, 422, "request.invalid")["errors"]] == ["password"]
    assert "hunter2" not in answer.text


def test_an_answer_to_a_thousand_unknown_fields_is_short(empty):
    body = {f"{number}-" + "x" * 500: 1 for number in range(1000)}
    answer = empty.api.post("/v1/flavors", json=body)
    expect(answer, 422, "request.invalid")
    assert len(answer.content) < 20_000


@pytest.mark.parametrize("verb", ["start", "shut-down", "force-off", "reset", "migrate"])
def test_verbs_take_no_unknown_fields(cloud, verb):
    cloud.make_vm()
    answer = cloud.api.post(f"/v1/vms/web/{verb}", json={"now": True})
    assert expect(answer, 422, "request.invalid")["errors"][0]["field"] == "now"


def test_unknown_query_parameters_are_refused_before_anything_happens(cloud):
    body = {"name": "web", "image": "mini", "flavor": "small"}
    answer = cloud.api.post("/v1/vms?surprise=true", json=body)
    assert expect(answer, 422, "request.invalid")["errors"][0]["field"] == "surprise"
    cloud.assert_clean(vms=0)


@pytest.mark.parametrize("query", ["state=x&state=y", "a=%ff", "&".join(f"a{n}=1" for n in range(50))])
def test_a_query_that_cannot_be_read_is_a_problem(empty, query):
    expect(empty.api.get(f"/v1/jobs?{query}"), 422, "request.query")


@pytest.mark.parametrize("wait", ["x", "-1", "nan", "inf", "1e999", ""])
def test_a_wait_that_is_no_time_is_a_problem(empty, wait):
    answer = empty.api.get("/v1/jobs", params={"wait": wait})
    assert expect(answer, 422, "request.invalid")["errors"][0]["field"] == "wait"


@pytest.mark.parametrize("text", ["é", "a b", "{{7*7}}", "' OR 1=1 --", "%", "?", "☃", "عربي"])
def test_a_name_in_the_path_may_be_anything_that_can_be_seen_and_is_not_found(empty, text):
    expect(empty.api.get(f"/v1/vms/{quote(text, safe='')}"), 404, "vm.not_found")


@pytest.mark.parametrize(
    "text", ["a\nb", "a\x00b", "a\x1bb", "a\x7f", "a\u202eb", "a\u200bb", "web/placement", "../hosts"]
)
def test_what_cannot_be_seen_or_could_be_another_path_is_refused(empty, text):
    expect(empty.api.get(f"/v1/vms/{quote(text, safe='')}"), 400, "request.bad_path")


def test_a_long_name_in_the_path_is_not_told_back_in_full(empty):
    assert len(expect(empty.api.get("/v1/vms/" + "x" * 5000), 404, "vm.not_found")["detail"]) < 200


def test_health_needs_no_token(empty):
    assert empty.client(None).get("/healthz").json() == {"status": "ok"}


def test_the_service_is_ready_while_a_worker_makes_its_rounds(empty):
    expect(empty.client(None).get("/readyz"), 503, "service.no_worker")
    round_ = Periodic("observe_hosts", 10.0, "observe_hosts", OPERATIONS["observe_hosts"].steps_version)
    Schedule((round_,)).tick(empty.ctx, empty.clock.now())
    assert empty.client(None).get("/readyz").json() == {"status": "ready"}
    empty.clock.elapsed_s += 60
    assert "since" in expect(empty.client(None).get("/readyz"), 503, "service.no_worker")["detail"]


def test_a_fault_is_a_problem_that_tells_nothing_of_the_inside(empty, monkeypatch):
    def broken(*_args, **_more):
        raise RuntimeError(empty.settings.state_dir)

    monkeypatch.setattr("service.db.queries.readable", broken)
    monkeypatch.setattr("service.api.handlers.health.last_round_at", broken)
    answer = empty.client("admin").get("/v1/vms")
    assert "log" in expect(answer, 500, "internal")["detail"]
    assert str(empty.settings.state_dir) not in answer.text
    expect(empty.client(None).get("/readyz"), 500, "internal")


def test_names_do_not_collide_with_ids(empty):
    for name in (UUID, UUID.replace("-", ""), "{" + UUID + "}", "urn:uuid:" + UUID):
        body = {"name": name, "vcpus": 1, "memory_mib": 128, "disk_gib": 1}
        assert expect(empty.api.post("/v1/flavors", json=body), 422, "request.invalid")["errors"][0]["field"] == "name"


@pytest.mark.parametrize(
    "name",
    [
        "<b>web</b>",
        "web\n",
        "web\x00",
        "x" * 300,
        "",
        " ",
        "Web",
        "-web",
        "web-",
        "we_b",
        "wéb",
        "../x",
        UUID,
        7,
        None,
        "a.b",
        "a\u202eb",
        "{{7*7}}",
    ],
)
def test_a_vm_name_that_is_no_hostname_is_refused_and_nothing_is_left(cloud, name):
    body = json.dumps({"name": name, "image": "mini", "flavor": "small"}).encode()
    document = expect(cloud.api.post("/v1/vms", content=body), 422, "request.invalid")
    assert [error["field"] for error in document["errors"]] == ["name"]
    cloud.assert_clean(vms=0)


def test_many_calls_at_once_each_get_their_own_answer(empty):
    def call(number: int) -> str:
        answer = empty.client("admin").get(f"/v1/vms/vm-{number}", headers={"X-Request-ID": f"r{number}"})
        return f"{answer.headers['x-request-id']} {answer.json()['detail']}"

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(call, range(40))) == [
            f"r{n} There is no vm 'vm-{n}': 'nacre vm list' shows them." for n in range(40)
        ]
