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
def people_command(empty, tmp_path, monkeypatch, capsys):
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


def test_without_a_token_the_next_step_is_to_log_in(people_command):
    code, _, err = people_command("vm", "list")
    assert code == 2
    assert "nacre login" in err


def test_logging_in_keeps_the_token_for_its_owner_only(people_command, tmp_path):
    logged_in(people_command, "ann")
    kept = tmp_path / "home/.config/nacre/token"
    assert kept.stat().st_mode & 0o777 == 0o600
    code, out, _ = people_command("whoami")
    assert code == 0
    assert {"ann", "default"} <= set(out.split())
    assert people_command("logout")[0] == 0
    assert not kept.exists()


def test_a_wrong_password_is_said_without_a_traceback(people_command):
    code, _, err = people_command("login", "--user", "ann", text="guess\n")
    assert code == 1
    assert "[auth.bad_login]" in err


@pytest.mark.parametrize("words", [("login", "--user", "ann"), ("logout",)])
def test_a_token_that_no_login_made_is_neither_overwritten_nor_ended(
    people_command, empty, tmp_path, monkeypatch, words
):
    kept = tmp_path / "token"
    kept.write_text(empty.tokens["admin"] + "\n")
    monkeypatch.setenv("NACRE_TOKEN_FILE", str(kept))
    code, _, err = people_command(*words, text=PASSWORD + "\n")
    assert (code, str(kept) in err) == (2, True)
    assert kept.read_text().strip() == empty.tokens["admin"]
    assert people_command("whoami")[0] == 0


def test_a_user_is_removed_only_after_a_yes(people_command):
    logged_in(people_command, "root2")
    assert people_command("user", "delete", "ann")[0] == 1
    assert people_command("user", "delete", "ann", text="y\n")[0] == 0
    assert "ann" not in {one["name"] for one in table(people_command, "user", "list")}


def test_an_admin_makes_a_project_with_quotas_and_somebody_to_work_in_it(people_command):
    logged_in(people_command, "root2")
    assert people_command("project", "create", "blue", "--quota", "vms=10", "--description", "the blue ones")[0] == 0
    assert people_command("project", "quota", "set", "blue", "vcpus=40", "vms=none")[0] == 0
    limits = {row["resource"]: row["limit"] for row in table(people_command, "project", "quota", "show", "blue")}
    assert limits == {"vms": None, "vcpus": 40}
    assert people_command("user", "create", "bob", "--role", "viewer", "--password", text=PASSWORD + "\n")[0] == 0
    assert people_command("project", "add-user", "blue", "bob")[0] == 0
    bob = next(one for one in table(people_command, "user", "list") if one["name"] == "bob")
    assert (bob["role"], [one["name"] for one in bob["projects"]]) == ("viewer", ["blue"])
    logged_in(people_command, "bob")
    assert [one["name"] for one in table(people_command, "project", "list")] == ["blue"]


def test_a_token_is_made_listed_and_revoked(people_command):
    logged_in(people_command, "ann")
    code, out, _ = people_command("token", "create", "ci", "--may", "vm:*", "--expires-in", "30d", "-o", "json")
    assert code == 0
    assert json.loads(out)["token"].startswith("nacre_")
    assert {one["name"] for one in table(people_command, "token", "list")} == {"login", "ci"}
    assert people_command("token", "revoke", "ci")[0] == 0
    assert [one["name"] for one in table(people_command, "token", "list")] == ["login"]


def test_the_audit_tells_the_reason_that_was_given(people_command):
    logged_in(people_command, "root2")
    assert people_command("--reason", "ticket 7: größer", "user", "disable", "ann")[0] == 0
    (entry,) = table(people_command, "audit", "--action", "update_user")
    assert (entry["actor"], entry["reason"], entry["source"]) == ("root2", "ticket 7: größer", "127.0.0.1")
    code, out, _ = people_command("audit", "--action", "update_user")
    assert code == 0
    assert "ticket 7: größer" in out


def test_a_password_is_changed_by_who_knows_the_old_one(people_command):
    logged_in(people_command, "ann")
    assert people_command("password", text=f"{PASSWORD}\nanother phrase\n")[0] == 0
    assert people_command("login", "--user", "ann", text="another phrase\n")[0] == 0


def test_the_project_to_work_in_is_named_for_any_command(people_command):
    logged_in(people_command, "root2")
    people_command("project", "create", "blue")
    assert table(people_command, "--project", "blue", "vm", "list") == []
    code, _, err = people_command("--project", "nowhere", "vm", "list")
    assert code == 1
    assert "[project.not_found]" in err


@pytest.mark.parametrize("wrong", [["quota", "set", "blue", "vms"], ["create", "x", "--quota", "vms=-1"]])
def test_a_quota_that_is_written_wrongly_changes_nothing(people_command, wrong):
    logged_in(people_command, "root2")
    code, _, err = people_command("project", *wrong)
    assert code == 2
    assert "RESOURCE" in err
