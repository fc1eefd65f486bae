"""The `nacre` command against a server on loopback that answers what each test tells it to."""

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from service.cli.client import at
from service.cli.errors import UsageError
from tests.unit.cli_server import JOB, VM


def test_a_table_has_a_line_per_vm(nacre, server):
    server.say({"items": [VM, VM | {"name": "db", "host": None}]})
    code, out, _ = nacre("vm", "list")
    assert code == 0
    heading, web, db = out.splitlines()
    assert heading.split() == ["NAME", "STATE", "HOST", "ADDRESS", "VCPUS", "MEMORY", "IMAGE", "FLAVOR"]
    assert web.split()[:3] == ["web", "running", "host1"]
    assert db.split()[2] == "-"
    assert server.headers[0]["Authorization"] == "Bearer nacre_secret"


def test_vms_of_several_projects_are_listed_with_their_project(nacre, server):
    server.say(
        {"items": [VM, VM | {"name": "db", "project_id": "p2"}]},
        {"items": [{"id": "p1", "name": "blue"}, {"id": "p2", "name": "red"}]},
    )
    _, out, _ = nacre("vm", "list", "--host", "host1")
    assert server.asked[0][1] == "/v1/vms?host=host1"
    assert [line.split()[:2] for line in out.splitlines()] == [["PROJECT", "NAME"], ["blue", "web"], ["red", "db"]]


@pytest.mark.parametrize(
    "words", [("vm", "migrate", "web"), ("vm", "resize", "web", "--flavor", "f"), ("host", "add", "10.0.0.9")]
)
def test_what_was_only_tried_is_told_and_ends_the_command(nacre, server, words):
    server.say({"dry_run": True, "job": {"kind": "some_job"}, "placements": [], "changed": None, "diff": None})
    code, out, err = nacre("--dry-run", *words, "--wait")
    assert (code, out) == (0, "")
    assert "this would be done: some_job" in err
    assert server.asked[0][1].endswith("?dry_run=true")
    assert len(server.asked) == 1


def test_a_batch_that_was_only_tried_tells_how_many_go_where(nacre, server):
    verdict = {"host_name": "host1", "score": 0.5, "reasons": [], "terms": [["balance", 0.5]]}
    placement = {"chosen": verdict, "verdicts": [verdict], "algorithm": "storage_cpu"}
    trial = {"dry_run": True, "job": None, "placements": [placement] * 2, "changed": None, "diff": None}
    server.say(trial)
    code, out, err = nacre("--dry-run", "vm", "create", "w", "--image", "i", "--flavor", "f", "--count", "2", "--wait")
    assert code == 0
    assert "these 2 VMs would be placed" in err
    assert out.splitlines()[1].split() == ["host1", "2"]


def test_what_cannot_be_tried_is_said_to_have_done_nothing(nacre, server):
    wrong = [{"field": "dry_run", "message": "Extra inputs are not permitted"}]
    server.say({"code": "request.invalid", "detail": "not valid", "errors": wrong}, status=422)
    code, _, err = nacre("--dry-run", "flavor", "delete", "f")
    assert code == 2
    assert "does not support --dry-run: nothing was done" in err


def test_one_object_is_told_as_people_read_it(nacre, server):
    volume = {"target": "vda", "role": "root", "name": None, "size_bytes": 1 << 30, "bus": "virtio", "pool": "vms"}
    more = {"tags": ["a", "b"], "managed": True, "pending": {"vcpus": 2, "memory_mib": 512}, "description": ""}
    server.say(VM | more | {"volumes": [volume | {"state": "ready", "image": "mini"}], "cdroms": []})
    _, out, _ = nacre("vm", "show", "web")
    told = {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines() if " " in line}
    assert (told["tags"], told["managed"], told["description"]) == ("a, b", "yes", "-")
    assert told["pending"] == "vcpus 2, memory_mib 512"
    assert told["vda"].split() == ["root", "-", "1.0", "GiB", "virtio", "vms", "ready", "mini"]
    assert "cdroms" not in told


def test_a_reason_is_one_line(nacre, server):
    code, _, err = nacre("--reason", "a\nb", "vm", "list")
    assert (code, server.asked) == (2, [])
    assert "one line of text" in err


def test_what_was_not_seen_for_a_minute_says_so(nacre, server):
    seen = (datetime.now(UTC) - timedelta(seconds=200)).isoformat()
    server.say({"items": [VM | {"observed_at": seen}, VM | {"name": "off", "host": None, "observed_at": seen}]})
    _, out, _ = nacre("vm", "list")
    assert "running, observed 3 min ago" in out.splitlines()[1]
    assert "ago" not in out.splitlines()[2]


def test_a_line_is_not_folded_when_it_is_piped_on(nacre, server):
    server.say({"items": [VM | {"image": "x" * 300}]})
    _, out, _ = nacre("vm", "list")
    assert len(out.splitlines()) == 2
    assert not any(line.endswith(" ") for line in out.splitlines())


def test_json_is_the_answer_itself_in_ascii(nacre, server):
    items = [VM | {"name": "wéb\x1b[31m\u202e\x9b"}]
    server.say({"items": items})
    code, out, _ = nacre("vm", "list", "-o", "json")
    assert (code, json.loads(out)) == (0, items)
    assert out.isascii()
    assert "\x1b" not in out


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x9b31m", "a\rb", "a\nb", "\u202e", "\x00", "[bold red]x[/]"])
def test_what_a_server_says_cannot_command_the_terminal(nacre, server, hostile):
    server.say({"items": [VM | {"name": f"web{hostile}"}]})
    _, out, _ = nacre("vm", "list")
    assert len(out.splitlines()) == 2
    assert all(character.isprintable() for character in out.replace("\n", ""))
    assert hostile in out or not hostile.isprintable()


def test_a_hostile_error_is_printed_as_text(nacre, server):
    server.say({"code": "x\x1b[31m", "detail": "no\x1b[2J [bold]"}, status=409)
    code, _, err = nacre("vm", "show", "web")
    assert code == 1
    assert "\x1b" not in err
    assert "[bold]" in err


def test_a_problem_is_one_message_with_its_code_fields_and_reasons(nacre, server):
    document = {
        "code": "placement.no_host",
        "detail": "No host can take VM 'web'.",
        "errors": [{"field": "name", "message": "too long"}],
        "reasons": {"host2": ["1 vCPU short", "old"], "host1": ["fenced"]},
    }
    server.say(document, status=409)
    code, out, err = nacre("vm", "create", "web", "--image", "i", "--flavor", "f")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "nacre: No host can take VM 'web'. [placement.no_host]",
        "  name: too long",
        "  host1: fenced",
        "  host2: 1 vCPU short; old",
    ]


def test_create_sends_what_was_asked_for_and_waits_for_the_end(nacre, server, home):
    (home / "key.pub").write_text("# mine\nssh-ed25519 AAAA ann\n\n")
    done = JOB | {"state": "succeeded", "progress": 1.0}
    server.say(JOB, JOB | {"state": "running", "phase": "clone"}, done)
    key = str(home / "key.pub")
    code, _, err = nacre("vm", "create", "web", "--image", "i", "--flavor", "f", "--ssh-key", key, "--wait")
    assert code == 0
    assert "VM web is running" in err
    method, path, body = server.asked[0]
    assert (method, path) == ("POST", "/v1/vms")
    assert json.loads(body) == {"name": "web", "image": "i", "flavor": "f", "ssh_keys": ["ssh-ed25519 AAAA ann"]}
    assert [path for _, path, _ in server.asked[1:]] == ["/v1/jobs/j1?wait=1"] * 2


def test_the_key_of_the_environment_goes_into_a_new_vm(nacre, server, home, monkeypatch):
    (home / "id.pub").write_text("ssh-ed25519 AAAA ann\n")
    monkeypatch.setenv("NACRE_SSH_KEY", str(home / "id"))
    server.say(JOB)
    nacre("vm", "create", "web", "--image", "i", "--flavor", "f")
    assert json.loads(server.asked[0][2])["ssh_keys"] == ["ssh-ed25519 AAAA ann"]


def test_without_waiting_the_job_is_named(nacre, server):
    server.say(JOB)
    code, _, err = nacre("vm", "start", "web")
    assert code == 0
    assert "nacre job show j1 --wait" in err
    assert server.asked == [("POST", "/v1/vms/web/start", b"{}")]


def test_a_job_that_failed_ends_the_command_with_its_reason(nacre, server):
    server.say(JOB, JOB | {"state": "failed", "error": {"code": "storage.full", "detail": "pool vms is full"}})
    code, _, err = nacre("vm", "start", "web", "--wait")
    assert code == 1
    assert "nacre: create_vm failed: pool vms is full [storage.full]" in err


def test_a_job_that_waits_tells_why_once_where_no_terminal_shows_it(nacre, server):
    waiting = JOB | {"state": "waiting", "reason": "host1 is silent"}
    server.say(JOB, waiting, waiting, JOB | {"state": "succeeded"})
    code, _, err = nacre("vm", "reset", "web", "--wait")
    assert (code, err.splitlines()) == (0, ["job j1: create_vm: waiting, host1 is silent", "VM web was reset"])


def test_a_job_that_nobody_takes_says_that_there_is_no_worker(nacre, server):
    server.say(*[JOB] * 7, JOB | {"state": "succeeded"})
    _, _, err = nacre("vm", "reset", "web", "--wait")
    assert err.splitlines()[0] == "job j1: create_vm: queued, no worker has claimed it yet"


def test_a_full_disk_behind_the_output_is_one_sentence(nacre, server, monkeypatch):
    server.say({"items": [VM]})
    full = io.StringIO()
    monkeypatch.setattr(full, "write", lambda _: os.write(os.open("/dev/full", os.O_WRONLY), b"x"))
    monkeypatch.setattr(sys, "stdout", full)
    code, _, err = nacre("vm", "list")
    assert (code, err) == (1, "nacre: [Errno 28] No space left on device\n")


def test_a_long_reason_is_cut_and_an_id_is_not_on_a_narrow_terminal(nacre, server, monkeypatch):
    monkeypatch.setattr("service.cli.output.console.width", 80)
    name = "d94d0615-05bd-4440-841b-e10ca25e9747"
    server.say({"items": [JOB | {"id": name, "state": "waiting", "reason": "no answer " * 30}]})
    _, out, _ = nacre("job", "list")
    assert [len(line) <= 80 for line in out.splitlines()] == [True, True]
    assert name in out


def test_the_same_sentence_is_not_told_twice(nacre, server):
    said = "There is no image 'x'."
    problem = {"code": "image.not_found", "detail": said, "errors": [{"field": "image", "message": said}]}
    server.say(problem, status=422)
    assert nacre("vm", "create", "web", "--image", "x", "--flavor", "f")[2] == f"nacre: {said} [image.not_found]\n"


def test_the_names_of_options_are_whole_at_80_columns(nacre, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert "--reserved-memory-mib" in nacre("host", "add", "--help")[1]


def test_the_version_is_told(bare):
    assert bare("--version")[:2] == (0, "nacre 0.1.0\n")


def test_a_stopped_vm_is_not_waited_for_by_ssh(nacre, server):
    server.say(VM | {"observed_state": "stopped"})
    code, _, err = nacre("vm", "ssh", "web")
    assert (code, err) == (1, "nacre: VM web is stopped: 'nacre vm start web' starts it.\n")


def test_a_file_that_holds_no_public_key_is_named(nacre, server, home):
    (home / "notes").write_text("hello\n")
    code, _, err = nacre("vm", "create", "w", "--image", "i", "--flavor", "f", "--ssh-key", str(home / "notes"))
    assert (code, err) == (2, f"nacre: {home / 'notes'} is not an OpenSSH public key.\n")
    assert server.asked == []


def test_a_server_without_a_slot_to_wait_in_is_asked_again(nacre, server):
    server.say(JOB)
    server.say({"code": "service.busy", "detail": "Too many calls wait already."}, status=503)
    server.say(JOB | {"state": "succeeded"})
    code, _, _ = nacre("vm", "start", "web", "--wait")
    assert code == 0
    assert [path for _, path, _ in server.asked[1:]] == ["/v1/jobs/j1?wait=1", "/v1/jobs/j1"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("../hosts/host1", "/v1/vms/..%2Fhosts%2Fhost1"),
        ("a?wait=1", "/v1/vms/a%3Fwait%3D1"),
        ("é#x", "/v1/vms/%C3%A9%23x"),
    ],
)
def test_a_name_is_one_segment_of_the_path(nacre, server, name, path):
    server.say(JOB)
    nacre("vm", "delete", name, "--yes")
    assert server.asked == [("DELETE", path, b"")]


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_be_another_path_is_refused(nacre, server, name):
    code, _, err = nacre("vm", "delete", name, "--yes")
    assert code == 2
    assert "cannot be a name" in err
    assert server.asked == []
    with pytest.raises(UsageError):
        at("vms", name)


def test_delete_asks_first(nacre, server):
    server.say(JOB)
    code, _, _ = nacre("vm", "delete", "web", text="n\n")
    assert code == 1
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "kind", "content"),
    [
        (200, "text/html", b"<html>"),
        (200, "application/json", b"[]"),
        (200, "application/json", b"\xff"),
        (502, "text/html", b"<html>"),
        (500, "application/problem+json", b"{"),
    ],
)
def test_a_server_that_is_not_the_api_is_one_sentence(nacre, server, status, kind, content):
    server.answers = [(status, kind, content)]
    code, out, err = nacre("vm", "list")
    assert (code, out) == (1, "")
    assert err.startswith("nacre: ")
    assert len(err.splitlines()) == 1


def test_a_private_key_never_leaves_this_computer(nacre, server, home):
    (home / "id").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n")
    code, _, err = nacre("vm", "create", "web", "--image", "i", "--flavor", "f", "--ssh-key", str(home / "id"))
    assert code == 2
    assert "private key" in err
    assert server.asked == []


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_key_file_that_cannot_be_read_is_one_sentence(nacre, server, home, content):
    if content is not None:
        (home / "id.pub").write_bytes(content)
    code, _, err = nacre("vm", "create", "web", "--image", "i", "--flavor", "f", "--ssh-key", str(home / "id.pub"))
    assert code == 2
    assert "id.pub" in err


def test_an_unknown_option_is_a_usage_error(nacre):
    code, _, err = nacre("vm", "list", "--nothing")
    assert code == 2
    assert "--nothing" in err


def test_ssh_gets_the_address_the_key_and_a_host_key_of_the_vms_own(nacre, server, home):
    """In a process of its own: it becomes ssh."""
    server.say(VM)
    fake = home / "ssh"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o755)
    environment = {
        "PATH": str(home),
        "HOME": str(home),
        "NACRE_URL": server.url,
        "NACRE_TOKEN_FILE": str(home / "token"),
        "NACRE_SSH_KEY": "~/key",
    }
    command = [sys.executable, "-m", "service.cli.main", "vm", "ssh", "web", "--", "-x", "a b"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    told = done.stdout.splitlines()
    assert told[-4:] == ["--", "ann@10.2.0.10", "-x", "a b"]
    assert "HostKeyAlias=v1" in told
    assert told[told.index("-i") + 1] == str(home / "key")
