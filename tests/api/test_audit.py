"""The audit: who did what, from where and why, and what it was before and after."""

from tests.api.folk import person, project
from tests.api.world import expect


def entries(client, **query):
    answer = client.get("/v1/audit", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def test_a_write_is_told_with_who_where_why_and_how_it_was_before(empty):
    headers = {"X-Reason": "ticket 7: größer".encode(), "X-Request-ID": "r7"}
    empty.api.patch("/v1/users/user-token", json={"role": "viewer"}, headers=headers)
    (entry,) = entries(empty.api, action="update_user")
    assert (entry["actor"], entry["reason"], entry["request_id"]) == ("admin-token", "ticket 7: größer", "r7")
    assert (entry["object_kind"], entry["object_name"]) == ("user", "user-token")
    assert (entry["before"]["role"], entry["after"]["role"]) == ("user", "viewer")


def test_where_a_request_came_from_is_kept(empty):
    client = empty.client("admin")
    client._transport.source = "192.0.2.7"
    client.post("/v1/projects", json={"name": "blue"})
    assert entries(empty.api, action="create_project")[0]["source"] == "192.0.2.7"


def test_a_reason_is_one_line_of_text(empty):
    for wrong in (b"a\tb", b"\xff\xfe", b"x" * 256):
        expect(empty.api.get("/v1/vms", headers={"X-Reason": wrong}), 422, "request.invalid")


def test_others_see_what_belongs_to_their_projects_and_what_they_did(cloud):
    project(cloud, "blue")
    bea = person(cloud, "bea", "user", "blue")
    cloud.done(cloud.create("web"))
    cloud.created(bea.post("/v1/tokens", json={"name": "ci"}))
    assert {entry["action"] for entry in entries(bea)} == {"create_project", "create_token"}
    assert {entry["actor"] for entry in entries(bea, action="create_token")} == {"bea"}
    assert entries(bea, action="create_vm") == []
    assert len(entries(cloud.client("user"), action="create_vm")) == 1
    assert {entry["object_kind"] for entry in entries(cloud.client("operator"))}.isdisjoint(
        {"user", "token", "project"}
    )
    assert len(entries(cloud.api, actor="bea")) == 1


def test_the_audit_comes_in_pages_the_newest_first(empty):
    for name in ("a", "b", "c"):
        project(empty, name)
        empty.clock.elapsed_s += 1
    first = empty.api.get("/v1/audit", params={"action": "create_project", "limit": 2})
    assert [entry["object_name"] for entry in first.json()["items"]] == ["c", "b"]
    rest = empty.api.get(
        "/v1/audit",
        params={"action": "create_project", "limit": 2, "page_token": first.json()["next_page_token"]},
    )
    assert [entry["object_name"] for entry in rest.json()["items"]] == ["a"]


def test_a_deleted_vm_is_told_as_it_was(cloud):
    cloud.make_vm("web")
    cloud.done(cloud.api.delete("/v1/vms/web"))
    (entry,) = entries(cloud.api, action="delete_vm")
    assert (entry["before"]["name"], entry["before"]["vcpus"]) == ("web", 1)
