"""`nacre vm apply`, `nacre events` and `--dry-run`, against the real API."""

import itertools
import json
import threading

import pytest

from service.db.tables import Event, Vm

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


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "vms.yaml"
    path.write_text(FILE)
    return path


def test_a_file_of_vms_is_applied_and_applied_again_changes_nothing(cloud, nacre, file):
    code, _, told = nacre("vm", "apply", "-f", str(file))
    assert code == 0, told
    assert told.splitlines() == ["VM web: created", "VM db: created"]
    cloud.settle()
    assert {(vm.name, tuple(vm.tags)) for vm in cloud.rows(Vm)} == {("web", ("shop",)), ("db", ())}
    assert nacre("vm", "apply", "-f", str(file))[2].splitlines() == ["VM web: unchanged", "VM db: unchanged"]
    file.write_text(FILE.replace("shop", "store"))
    code, out, told = nacre("vm", "apply", "-f", str(file))
    assert told.splitlines() == ["VM web: updated", "VM db: unchanged"]
    assert [line.split() for line in out.splitlines()] == [
        ["FIELD", "FROM", "TO", "WHEN"],
        ["tags", '["shop"]', '["store"]', "now"],
    ]


def test_a_trial_of_a_file_changes_nothing(cloud, nacre, file):
    assert nacre("vm", "apply", "-f", str(file), "--dry-run")[2].splitlines() == [
        "VM web: would be created",
        "VM db: would be created",
    ]
    assert cloud.rows(Vm) == []


@pytest.mark.parametrize(
    ("text", "part"), [("- a", "is not a VM"), ("a: [", "neither YAML nor JSON"), ("a: 1", "a name")]
)
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
    assert heading.split() == ["HOST", "SCORE", "TERMS"]
    assert "chosen: host1, algorithm storage_cpu" in told
    assert {line.split()[0] for line in hosts} == {"host1", "host2"}
    assert "balance" in out
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
    received = threading.Event()

    def make_events() -> None:  # until the stream, which opens at an unknown time, has had one
        for number in itertools.count():
            cloud.flavor(f"later-{number}")
            if received.wait(0.3):
                return

    maker = threading.Thread(target=make_events)
    maker.start()
    _, out, told = nacre("events", "--after", "1", "--count", "1", "-o", "json")
    received.set()
    maker.join()
    assert "are deleted: read the current state again" in told
    assert json.loads(out)["kind"] == "create_flavor"
