"""The commands about people, against a real API on loopback."""

import io
import json
import threading
from functools import partial
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
import structlog

from tests.api.folk import PASSWORD, user
from tests.command import run_nacre


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Silent(WSGIRequestHandler):
    def log_message(self, format, *args) -> None:  # noqa: A002 - the base class's name
        """Silent."""


@pytest.fixture
def nacre(empty, tmp_path, monkeypatch, capsys):
    """Runs the command as whoever is logged in; returns (exit status, standard output, standard error)."""
    logged = structlog.get_config()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=io.StringIO()))
    server = make_server("127.0.0.1", 0, empty.app, server_class=Server, handler_class=Silent)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NACRE_URL", f"http://127.0.0.1:{server.server_port}")
    for name in ("NACRE_TOKEN_FILE", "NACRE_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    user(empty, "root2", "admin", password=PASSWORD)
    user(empty, "ann", "user", "default", password=PASSWORD)

    yield partial(run_nacre, monkeypatch, capsys)
    server.shutdown()
    server.server_close()
    structlog.configure(logger_factory=logged["logger_factory"])


def table(nacre, *arguments) -> list[dict]:
    code, out, err = nacre(*arguments, "-o", "json")
    assert code == 0, err
    return json.loads(out)


def logged_in(nacre, name: str) -> None:
    code, _, err = nacre("login", "--user", name, text=PASSWORD + "\n")
    assert code == 0, err


def test_without_a_token_the_next_step_is_to_log_in(nacre):
    code, _, err = nacre("vm", "list")
    assert code == 2
    assert "nacre login" in err


def test_logging_in_keeps_the_token_for_its_owner_only(nacre, tmp_path):
    logged_in(nacre, "ann")
    kept = tmp_path / "home/.config/nacre/token"
    assert kept.stat().st_mode & 0o777 == 0o600
    code, out, _ = nacre("whoami")
    assert code == 0
    assert {"ann", "default"} <= set(out.split())
    assert nacre("logout")[0] == 0
    assert not kept.exists()


def test_a_wrong_password_is_said_without_a_traceback(nacre):
    code, _, err = nacre("login", "--user", "ann", text="guess\n")
    assert code == 1
    assert "[auth.bad_login]" in err


@pytest.mark.parametrize("words", [("login", "--user", "ann"), ("logout",)])
def test_a_token_that_no_login_made_is_neither_overwritten_nor_ended(nacre, empty, tmp_path, monkeypatch, words):
    kept = tmp_path / "token"
    kept.write_text(empty.tokens["admin"] + "\n")
    monkeypatch.setenv("NACRE_TOKEN_FILE", str(kept))
    code, _, err = nacre(*words, text=PASSWORD + "\n")
    assert (code, str(kept) in err) == (2, True)
    assert kept.read_text().strip() == empty.tokens["admin"]
    assert nacre("whoami")[0] == 0


def test_a_user_is_removed_only_after_a_yes(nacre):
    logged_in(nacre, "root2")
    assert nacre("user", "delete", "ann")[0] == 1
    assert nacre("user", "delete", "ann", text="y\n")[0] == 0
    assert "ann" not in {one["name"] for one in table(nacre, "user", "list")}


def test_an_admin_makes_a_project_with_quotas_and_somebody_to_work_in_it(nacre):
    logged_in(nacre, "root2")
    assert nacre("project", "create", "blue", "--quota", "vms=10", "--description", "the blue ones")[0] == 0
    assert nacre("project", "quota", "set", "blue", "vcpus=40", "vms=none")[0] == 0
    limits = {row["resource"]: row["limit"] for row in table(nacre, "project", "quota", "show", "blue")}
    assert limits == {"vms": None, "vcpus": 40}
    assert nacre("user", "create", "bob", "--role", "viewer", "--password", text=PASSWORD + "\n")[0] == 0
    assert nacre("project", "add-user", "blue", "bob")[0] == 0
    bob = next(one for one in table(nacre, "user", "list") if one["name"] == "bob")
    assert (bob["role"], [one["name"] for one in bob["projects"]]) == ("viewer", ["blue"])
    logged_in(nacre, "bob")
    assert [one["name"] for one in table(nacre, "project", "list")] == ["blue"]


def test_a_token_is_made_listed_and_revoked(nacre):
    logged_in(nacre, "ann")
    code, out, _ = nacre("token", "create", "ci", "--may", "vm:*", "--expires-in", "30d", "-o", "json")
    assert code == 0
    assert json.loads(out)["token"].startswith("nacre_")
    assert {one["name"] for one in table(nacre, "token", "list")} == {"login", "ci"}
    assert nacre("token", "revoke", "ci")[0] == 0
    assert [one["name"] for one in table(nacre, "token", "list")] == ["login"]


def test_the_audit_tells_the_reason_that_was_given(nacre):
    logged_in(nacre, "root2")
    assert nacre("--reason", "ticket 7: größer", "user", "disable", "ann")[0] == 0
    (entry,) = table(nacre, "audit", "--action", "update_user")
    assert (entry["actor"], entry["reason"], entry["source"]) == ("root2", "ticket 7: größer", "127.0.0.1")
    code, out, _ = nacre("audit", "--action", "update_user")
    assert code == 0
    assert "ticket 7: größer" in out


def test_a_password_is_changed_by_who_knows_the_old_one(nacre):
    logged_in(nacre, "ann")
    assert nacre("password", text=f"{PASSWORD}\nanother phrase\n")[0] == 0
    assert nacre("login", "--user", "ann", text="another phrase\n")[0] == 0


def test_the_project_to_work_in_is_named_for_any_command(nacre):
    logged_in(nacre, "root2")
    nacre("project", "create", "blue")
    assert table(nacre, "--project", "blue", "vm", "list") == []
    code, _, err = nacre("--project", "nowhere", "vm", "list")
    assert code == 1
    assert "[project.not_found]" in err


@pytest.mark.parametrize("wrong", [["quota", "set", "blue", "vms"], ["create", "x", "--quota", "vms=-1"]])
def test_a_quota_that_is_written_wrongly_changes_nothing(nacre, wrong):
    logged_in(nacre, "root2")
    code, _, err = nacre("project", *wrong)
    assert code == 2
    assert "RESOURCE" in err
