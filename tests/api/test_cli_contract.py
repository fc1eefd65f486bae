"""`nacre vm apply`, `nacre events` and `--dry-run`, against the real API."""

import json
import socketserver
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest

from service.cli import main as cli
from service.cli import session
from service.db.tables import Event, Vm
from tests.api.world import KEY

FILE = """
name: web
image: mini
flavor: small
tags: [shop]
---
name: db
image: mini
flavor: small
"""


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, format, *args):  # noqa: A002 - the base class's name
        """Silent."""


@pytest.fixture
def served(cloud):
    """The cloud's API on loopback; `break_after` hangs up on that many first answers once they are done."""
    cloud.break_after = 0

    def app(environ, start_response):
        body = cloud.app(environ, start_response)
        if cloud.break_after and environ["REQUEST_METHOD"] == "POST":
            cloud.break_after -= 1
            raise ConnectionAbortedError("the answer is lost on its way")
        return body

    server = make_server("127.0.0.1", 0, app, Server, Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _without_logs(text):
    """The server's log is this process's, too."""
    return "".join(line for line in text.splitlines(keepends=True) if '"event": "http.request"' not in line)


@pytest.fixture
def nacre(cloud, served, tmp_path, monkeypatch, capsys):
    """Runs the command; returns (exit status, standard output, standard error)."""
    (tmp_path / "token").write_text(cloud.tokens["admin"] + "\n")
    (tmp_path / "key.pub").write_text(KEY + "\n")
    monkeypatch.setenv("NACRE_URL", served)
    monkeypatch.setenv("NACRE_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("NACRE_SSH_KEY", str(tmp_path / "key"))
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*arguments):
        session.client.cache_clear()
        monkeypatch.setattr("sys.argv", ["nacre", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        session.client.cache_clear()
        return int(ended.value.code or 0), _without_logs(out), _without_logs(err)

    return run


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "vms.yaml"
    path.write_text(FILE)
    return path


def test_a_file_of_vms_is_applied_and_applied_again_changes_nothing(cloud, nacre, file):
    code, _, told = nacre("vm", "apply", "-f", str(file))
    assert code == 0, told
    assert told.splitlines() == ["VM web: made", "VM db: made"]
    cloud.settle()
    assert {(vm.name, tuple(vm.tags)) for vm in cloud.rows(Vm)} == {("web", ("shop",)), ("db", ())}
    assert nacre("vm", "apply", "-f", str(file))[2].splitlines() == ["VM web: as declared", "VM db: as declared"]
    file.write_text(FILE.replace("shop", "store"))
    code, out, told = nacre("vm", "apply", "-f", str(file))
    assert told.splitlines() == ["VM web: changed", "VM db: as declared"]
    assert [line.split() for line in out.splitlines()] == [
        ["FIELD", "FROM", "TO", "WHEN"],
        ["tags", '["shop"]', '["store"]', "now"],
    ]


def test_a_trial_of_a_file_changes_nothing(cloud, nacre, file):
    assert nacre("vm", "apply", "-f", str(file), "--dry-run")[2].splitlines() == [
        "VM web: would be made",
        "VM db: would be made",
    ]
    assert cloud.rows(Vm) == []


@pytest.mark.parametrize(("text", "part"), [("- a", "is no VM"), ("a: [", "neither YAML nor JSON"), ("a: 1", "a name")])
def test_a_file_that_declares_nothing_is_told_apart(nacre, file, text, part):
    file.write_text(text)
    code, _, told = nacre("vm", "apply", "-f", str(file))
    assert code == 2
    assert part in told


def test_a_create_that_is_tried_shows_the_hosts_and_their_scores(cloud, nacre):
    code, out, told = nacre("--dry-run", "vm", "create", "web", "--image", "mini", "--flavor", "small", "--wait")
    assert code == 0, told
    assert "this would be done: create_vm" in told
    heading, *hosts = out.splitlines()
    assert heading.split() == ["HOST", "SCORE", "WHY"]
    assert {line.split()[0] for line in hosts} == {"host1", "host2"}
    assert "memory_headroom" in out
    assert cloud.rows(Vm) == []


def test_a_create_whose_answer_was_lost_is_asked_for_again_and_made_once(cloud, served, nacre):
    cloud.break_after = 1
    code, out, told = nacre("vm", "create", "web", "--image", "mini", "--flavor", "small", "-o", "json")
    assert code == 0, told
    assert json.loads(out)["kind"] == "create_vm"
    assert len(cloud.rows(Vm)) == 1
    cloud.settle()


def test_events_are_lines_for_people_and_json_for_programs(cloud, nacre):
    cloud.make_vm()
    newest = max(row.id for row in cloud.rows(Event))
    code, out, _ = nacre("events", "--after", "0", "--object", "vm", "--count", "2")
    assert code == 0
    assert [line.split()[2:5] for line in out.splitlines()] == [["create_vm", "vm", "web"], ["vm_state", "vm", "web"]]
    _, out, _ = nacre("events", "--after", str(newest - 1), "--count", "1", "-o", "json")
    assert json.loads(out)["data"]["state"] == "succeeded"


def test_events_that_are_gone_are_told_of(cloud, nacre):
    cloud.make_vm()
    newest = max(row.id for row in cloud.rows(Event))
    cloud.change(Event.delete().where(Event.id < newest))
    timer = threading.Timer(0.5, cloud.flavor, ["later"])
    timer.start()
    _, out, told = nacre("events", "--after", "1", "--count", "1", "-o", "json")
    timer.join()
    assert "no longer kept" in told
    assert json.loads(out)["kind"] == "create_flavor"
