"""Users, passwords, log-ins and tokens."""

from datetime import timedelta

import pytest

from service.db.tables import Audit, LoginAttempt, Token, User
from service.operations.people import login
from tests.api.folk import PASSWORD, bearing, person, project, user, with_token
from tests.api.world import expect, threads


def log_in(cloud, name="ann", password=PASSWORD, **more):
    return cloud.client(None).post("/v1/login", json={"user": name, "password": password} | more)


def test_a_name_and_its_password_give_a_token_that_ends_by_itself(empty):
    user(empty, "ann", "user", "default", password=PASSWORD)
    answer = empty.created(log_in(empty))
    ann = bearing(empty, answer["token"])
    assert ann.get("/v1/me").json()["name"] == "ann"
    empty.clock.elapsed_s += empty.settings.login_ttl_s - 1
    assert ann.get("/v1/vms").status_code == 200
    empty.clock.elapsed_s += 1
    expect(ann.get("/v1/vms"), 401, "auth.expired")


def test_a_wrong_password_an_unknown_user_and_one_without_a_password_are_told_the_same(empty):
    user(empty, "ann", password=PASSWORD)
    user(empty, "bot")
    told = {
        (answer.status_code, answer.json()["code"], answer.json()["detail"])
        for answer in (log_in(empty, password="wrong"), log_in(empty, "nobody"), log_in(empty, "bot"))
    }
    assert told == {(401, "auth.bad_login", "The user or the password is wrong.")}


def test_whoever_names_an_unknown_user_waits_for_a_hash_too(empty, monkeypatch):
    user(empty, "ann", password=PASSWORD)
    asked = []
    real = login.passwords.matches
    monkeypatch.setattr(login.passwords, "matches", lambda kept, password: asked.append(kept) or real(kept, password))
    log_in(empty, "nobody")
    log_in(empty, "ann", "wrong")
    assert [kept is None for kept in asked] == [True, False]


def test_a_disabled_user_is_shut_out_at_once_and_let_in_again(empty):
    user(empty, "ann", password=PASSWORD)
    ann = with_token(empty, "ann")
    empty.api.patch("/v1/users/ann", json={"disabled": True})
    expect(ann.get("/v1/vms"), 401, "auth.disabled")
    expect(log_in(empty), 401, "auth.disabled")
    expect(log_in(empty, password="wrong"), 401, "auth.bad_login")
    empty.api.patch("/v1/users/ann", json={"disabled": False})
    assert ann.get("/v1/vms").status_code == 200


def test_a_guesser_has_five_attempts_a_minute_and_others_are_not_held_up(empty):
    user(empty, "ann", password=PASSWORD)
    user(empty, "bob", password=PASSWORD)
    for _ in range(login.PER_PAIR):
        expect(log_in(empty, password="wrong"), 401, "auth.bad_login")
    answer = log_in(empty)
    expect(answer, 429, "auth.too_many_attempts")
    assert int(answer.headers["retry-after"]) >= 1
    assert log_in(empty, "bob").status_code == 201
    empty.clock.elapsed_s += login.WINDOW.seconds
    assert log_in(empty).status_code == 201
    assert all(len(row.id) == 64 for row in empty.rows(LoginAttempt)), "what was typed is kept"


def test_parallel_guesses_are_counted_exactly(empty):
    user(empty, "ann", password=PASSWORD)
    codes = []
    threads(16, lambda number: codes.append(log_in(empty, password=f"wrong {number}").json()["code"]))
    assert codes.count("auth.bad_login") <= login.PER_PAIR
    assert set(codes) <= {"auth.bad_login", "auth.too_many_attempts", "service.busy"}


@pytest.mark.parametrize(
    ("password", "status"), [("x" * 1025, 422), ("ä" * 513, 422), ("x" * (1 << 20), 413)], ids=["1025", "utf8", "1MB"]
)
def test_a_huge_password_is_refused_before_anything_is_hashed(empty, monkeypatch, password, status):
    monkeypatch.setattr(login.passwords, "matches", lambda *_: pytest.fail("it was hashed"))
    answer = log_in(empty, password=password)
    assert answer.status_code == status
    assert password not in answer.text


def test_logging_out_ends_this_token_only(empty):
    user(empty, "ann", password=PASSWORD)
    here, there = (bearing(empty, log_in(empty).json()["token"]) for _ in range(2))
    assert here.delete("/v1/login").status_code == 204
    expect(here.get("/v1/me"), 401, "auth.revoked")
    assert there.get("/v1/me").status_code == 200


def test_a_new_password_ends_what_the_old_one_opened(empty):
    user(empty, "ann", password=PASSWORD)
    here, there = (bearing(empty, log_in(empty).json()["token"]) for _ in range(2))
    robot = with_token(empty, "ann")
    body = {"old_password": PASSWORD, "password": "another phrase"}
    expect(here.put("/v1/me/password", json=body | {"old_password": "guess"}), 401, "auth.bad_login")
    assert here.put("/v1/me/password", json=body).status_code == 204
    expect(there.get("/v1/me"), 401, "auth.revoked")
    assert here.get("/v1/me").status_code == robot.get("/v1/me").status_code == 200
    expect(log_in(empty), 401, "auth.bad_login")
    assert log_in(empty, password="another phrase").status_code == 201


def test_a_password_is_kept_as_argon2_and_nowhere_else(empty):
    user(empty, "ann", password=PASSWORD)
    log_in(empty)
    (ann,) = (row for row in empty.rows(User) if row.name == "ann")
    assert ann.password_hash.startswith("$argon2id$")
    shown = empty.api.get("/v1/users/ann").text + str([row.__data__ for row in empty.rows(Audit)])
    assert PASSWORD not in shown
    assert ann.password_hash not in shown


@pytest.mark.parametrize("wrong", ["", "short", "x" * 1025])
def test_a_password_to_be_has_eight_characters_at_least(empty, wrong):
    expect(empty.api.post("/v1/users", json={"name": "ann", "password": wrong}), 422, "request.invalid")


def test_users_are_made_changed_listed_and_removed(empty):
    project(empty, "blue")
    made = user(empty, "ann", "viewer", "blue")
    assert [one["name"] for one in made["projects"]] == ["blue"]
    assert empty.api.get("/v1/users/ann").json() == made
    expect(empty.api.post("/v1/users", json={"name": "ann"}), 409, "user.name_taken")
    assert empty.api.patch("/v1/users/ann", json={"role": "user"}).json()["role"] == "user"
    assert "ann" in [one["name"] for one in empty.api.get("/v1/users").json()["items"]]
    ann = with_token(empty, "ann")
    assert empty.api.delete("/v1/users/ann").status_code == 204
    expect(empty.api.get("/v1/users/ann"), 404, "user.not_found")
    expect(ann.get("/v1/me"), 401, "auth.bad_token")


def test_the_last_admin_is_neither_removed_nor_shut_out_nor_made_less(empty):
    for answer in (
        empty.api.delete("/v1/users/admin-token"),
        empty.api.patch("/v1/users/admin-token", json={"disabled": True}),
        empty.api.patch("/v1/users/admin-token", json={"role": "user"}),
    ):
        expect(answer, 409, "user.last_admin")
    user(empty, "root2", "admin")
    assert empty.api.patch("/v1/users/admin-token", json={"role": "user"}).status_code == 200


def test_a_token_is_shown_once_and_listed_without_its_secret(empty):
    empty.clock.elapsed_s += 1
    made = empty.created(empty.client("user").post("/v1/tokens", json={"name": "ci"}))
    assert made["token"].startswith("nacre_")
    listed = empty.client("user").get("/v1/tokens")
    assert made["token"] not in listed.text
    assert [one["name"] for one in listed.json()["items"]] == ["user-token", "ci"]
    assert all(made["token"] not in str(row.__data__) for row in (*empty.rows(Token), *empty.rows(Audit)))


def test_a_revoked_token_opens_nothing_from_the_next_request_on(empty):
    made = empty.created(empty.client("user").post("/v1/tokens", json={"name": "ci"}))
    ci = bearing(empty, made["token"])
    assert ci.get("/v1/vms").status_code == 200
    assert empty.client("user").delete("/v1/tokens/ci").status_code == 204
    expect(ci.get("/v1/vms"), 401, "auth.revoked")
    expect(empty.client("user").delete("/v1/tokens/ci"), 404, "token.not_found")
    again = empty.created(empty.client("user").post("/v1/tokens", json={"name": "ci"}))
    assert empty.api.delete(f"/v1/tokens/{again['id']}").status_code == 204


def test_nobody_but_an_admin_sees_or_ends_anothers_token(empty):
    mine = empty.created(empty.client("user").post("/v1/tokens", json={"name": "ci"}))
    for role in ("operator", "viewer"):
        expect(empty.client(role).delete(f"/v1/tokens/{mine['id']}"), 404, "token.not_found")
        expect(empty.client(role).get("/v1/tokens", params={"user": "user-token"}), 404, "user.not_found")
        expect(empty.client(role).post("/v1/tokens", json={"name": "x", "user": "user-token"}), 403, "auth.forbidden")
    assert empty.api.get("/v1/tokens", params={"user": "user-token"}).status_code == 200


def test_an_expired_token_says_so(empty):
    made = empty.created(empty.client("user").post("/v1/tokens", json={"name": "ci", "expires_in_s": 60}))
    empty.clock.elapsed_s += 60
    expect(bearing(empty, made["token"]).get("/v1/vms"), 401, "auth.expired")


def test_long_ended_tokens_are_forgotten_and_their_names_free(empty):
    for _ in range(2):
        empty.created(empty.client("user").post("/v1/tokens", json={"name": "ci", "expires_in_s": 60}))
        empty.clock.elapsed_s += timedelta(days=31).total_seconds()
    empty.created(empty.client("user").post("/v1/tokens", json={"name": "ci"}))
    assert [row.name for row in empty.rows(Token)].count("ci") == 1


def test_a_token_may_do_what_it_was_made_for_and_no_more(empty):
    ann = person(empty, "ann", "user", "default", permissions=["vm:*", "*:read"])
    assert ann.get("/v1/flavors").status_code == 200
    expect(ann.delete("/v1/vms/nothing"), 404, "vm.not_found")
    expect(ann.delete("/v1/images/nothing"), 403, "auth.forbidden")
    expect(ann.post("/v1/hosts", json={}), 403, "auth.forbidden")


def test_a_wildcard_gives_no_right_that_the_role_has_not(empty):
    ann = person(empty, "ann", "viewer", "default", permissions=["*:*"])
    expect(ann.delete("/v1/vms/nothing"), 403, "auth.forbidden")


@pytest.mark.parametrize("limit", [{"permissions": ["*:*"]}, {"project": "default"}, {"expires_in_s": 3600}])
def test_a_limited_token_makes_no_other_tokens(empty, limit):
    ann = person(empty, "ann", "user", "default", **limit)
    expect(ann.post("/v1/tokens", json={"name": "more"}), 403, "auth.forbidden")


def test_an_admins_token_for_one_project_reaches_nothing_else(empty):
    project(empty, "blue")
    made = empty.created(empty.api.post("/v1/tokens", json={"name": "blue", "project": "blue"}))
    blue = bearing(empty, made["token"])
    assert [one["name"] for one in blue.get("/v1/projects").json()["items"]] == ["blue"]
    assert blue.get("/v1/me").json()["project"]["name"] == "blue"
    expect(blue.get("/v1/vms", params={"project": "default"}), 404, "project.not_found")
    for answer in (blue.get("/v1/users"), blue.post("/v1/hosts", json={}), blue.post("/v1/projects", json={})):
        expect(answer, 403, "auth.forbidden")


@pytest.mark.parametrize("wrong", [["vm:fly"], ["none:read"]])
def test_a_permission_that_is_not_there_is_refused(empty, wrong):
    body = {"name": "x", "permissions": wrong}
    expect(empty.api.post("/v1/tokens", json=body), 422, "token.unknown_permission")


@pytest.mark.parametrize("name", ["login", "user-token"])
def test_a_tokens_name_is_taken_once(empty, name):
    expect(empty.client("user").post("/v1/tokens", json={"name": name}), 409, "token.name_taken")


def test_me_tells_where_one_works(empty):
    assert empty.client("user").get("/v1/me").json()["project"]["name"] == "default"
    project(empty, "blue")
    project(empty, "green")
    both = person(empty, "ann", "user", "blue", "green").get("/v1/me").json()
    assert both["project"] is None
    assert [one["name"] for one in both["projects"]] == ["blue", "green"]
    assert person(empty, "eve").get("/v1/me").json()["projects"] == []
