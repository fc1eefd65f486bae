"""Where one project's things end and another's begin, off the paths that the matrix walks."""

import pytest

from service.hypervisor.contract import DomainState
from service.operations.people import login
from tests.api import folk
from tests.api.world import MIB, expect

STRANGER = "11111111-1111-4111-8111-111111111111"
PIECE = bytes(2048)


def test_members_are_not_told_whose_guests_are_on_a_host(cloud):
    folk.project(cloud, "other")
    member = folk.person(cloud, "ann", "user", "other")
    vm = cloud.make_vm("secret")
    host, other = (cloud.host(name) for name in ("host1", "host2"))
    host.domains[STRANGER] = DomainState(STRANGER, "a-stranger", "running", 1, 448, 0.0, None, None)
    for astray in (host, other):
        astray.domains[vm["id"]] = cloud.host(vm["host"]).domains[vm["id"]]
    cloud.observe()
    told = "".join(cloud.api.get(f"/v1/hosts/{name}").text for name in ("host1", "host2"))
    assert all(word in told for word in ("secret", vm["id"], "a-stranger"))
    told = "".join(member.get(path).text for path in ("/v1/hosts", "/v1/hosts/host1", "/v1/hosts/host2"))
    assert not any(word in told for word in ("secret", vm["id"], "a-stranger"))


def test_an_upload_becomes_an_image_of_its_own_project_wherever_its_end_is_sent(cloud):
    projects = {name: folk.project(cloud, name) for name in ("one", "two")}
    member = folk.person(cloud, "ann", "user", *projects)
    body = {"name": "img", "format": "raw", "size_bytes": 2 * len(PIECE)}
    upload_id = cloud.created(member.post("/v1/uploads?project=one", json=body))["id"]
    assert cloud.send(upload_id, PIECE, client=member).status_code == 200
    assert cloud.send(upload_id, PIECE, at=len(PIECE)).status_code == 200  # an admin works in project 'default'
    cloud.settle()
    assert member.get(f"/v1/images/{upload_id}").json()["project_id"] == projects["one"]["id"]
    folk.assert_counted(cloud)


def test_a_token_of_one_project_offers_nothing_to_another(cloud):
    for name in ("one", "two"):
        folk.project(cloud, name)
    folk.user(cloud, "ann", "user", "one", "two")
    token = folk.with_token(cloud, "ann", project="one")
    cloud.upload(bytes(MIB), client=token, name="mine", format="raw")
    cloud.settle()
    expect(token.put("/v1/images/mine/projects/two"), 404, "project.not_found")
    assert folk.with_token(cloud, "ann").put("/v1/images/mine/projects/two?project=one").status_code == 204


@pytest.mark.parametrize("change", [{"password": "quite another phrase"}, {"disabled": True}])
def test_a_log_in_that_was_being_checked_while_its_user_changed_is_refused(empty, monkeypatch, change):
    folk.user(empty, "ann", password=folk.PASSWORD)
    real = login.passwords.matches

    def slow(kept: str | None, password: str) -> bool:
        good = real(kept, password)
        assert empty.api.patch("/v1/users/ann", json=change).status_code == 200
        return good

    monkeypatch.setattr(login.passwords, "matches", slow)
    asked = empty.client(None).post("/v1/login", json={"user": "ann", "password": folk.PASSWORD})
    expect(asked, 401, "auth.bad_login")


def test_a_pool_may_have_a_name_as_long_as_ceph_allows(cloud):
    name = "p" * 127
    cloud.ended(cloud.api.post("/v1/pools", json={"name": name}))
    assert cloud.api.get("/v1/audit", params={"action": "add_pool"}).json()["items"][0]["object_id"] == name
