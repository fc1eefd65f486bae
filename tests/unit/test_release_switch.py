"""nacre-release, which switches releases on the control machine: its decisions, with the commands written down only."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "ansible/roles/control_plane/files/switch_release.py"


class Machine:
    """A machine's folder of releases; `fails` are words of commands that end with an error."""

    def __init__(self, tool, folder):
        self.tool, self.calls, self.fails, self.ready = tool, [], set(), True
        tool.HOME, tool.RELEASES, tool.LINK = folder, folder / "releases", folder / "venv"
        tool.INTENT, tool.SETTINGS = folder / "activating", folder / "settings.toml"
        tool.UPGRADE_BACKUP = folder / "before-upgrade.backup"
        tool.command = self.command
        tool.unready = lambda: None if self.ready else "no worker"

    def command(self, *words):
        words = [Path(word).name if "/" in word else word for word in words]
        self.calls.append(" ".join(words))
        if self.fails & {*words, self.calls[-1]}:
            raise self.tool.FailedError(f"{words[0]} failed")

    def release(self, name, *migrations):
        folder = self.tool.RELEASES / name / "lib/python3.11/site-packages/service/db/migrations"
        folder.mkdir(parents=True)
        for migration in migrations:
            (folder / f"{migration}.py").touch()
        (self.tool.RELEASES / name / "whole").touch()

    def activate(self, name):
        self.calls.clear()
        return self.tool.activate(name, 0.0)

    def did(self, words):
        return any(words in call for call in self.calls)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec = importlib.util.spec_from_file_location("nacre_release_tool", TOOL)
    tool = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, tool)  # where its dataclasses look
    spec.loader.exec_module(tool)
    made = Machine(tool, tmp_path)
    made.release("one", "0001")
    made.activate("one")
    return made


def test_a_new_release_is_linked_while_the_units_are_stopped(machine):
    machine.release("two", "0001")
    assert machine.activate("two") == "two activated"
    assert machine.tool.current() == "two"
    verbs = [call.split()[1] for call in machine.calls if call.startswith("systemctl")]
    assert verbs == ["stop", "start", "start", "start"]
    assert not machine.tool.INTENT.exists()


def test_a_worker_that_fails_keeps_the_api_from_accepting_anything(machine):
    machine.release("two", "0001", "0002")
    machine.fails = {"systemctl start nacre-worker.service"}
    with pytest.raises(machine.tool.FailedError, match="two failed"):
        machine.activate("two")
    assert "systemctl start nacre-api.service" not in machine.calls


def test_the_active_release_is_left_alone(machine):
    assert machine.activate("one") == "one is active already"
    assert machine.calls == []


def test_a_release_that_is_not_whole_is_refused_before_anything_stops(machine):
    machine.release("half")
    (machine.tool.RELEASES / "half/whole").unlink()
    with pytest.raises(machine.tool.FailedError, match="no release half"):
        machine.activate("half")
    assert machine.calls == []


def test_the_database_is_backed_up_by_the_old_release_only_where_the_new_one_changes_it(machine):
    machine.release("same", "0001")
    machine.activate("same")
    assert not machine.did("backup")
    machine.release("more", "0001", "0002")
    machine.activate("more")
    assert machine.did("nacre-service backup before-upgrade.backup")


def test_without_a_backup_nothing_is_switched_and_the_old_release_goes_on(machine):
    machine.release("two", "0001", "0002")
    machine.fails = {"backup"}
    with pytest.raises(machine.tool.FailedError, match="nacre-service failed"):
        machine.activate("two")
    assert machine.tool.current() == "one"
    assert machine.calls[-1].startswith("systemctl start")


def test_a_release_that_does_not_start_gives_way_to_the_one_before(machine):
    machine.release("two", "0001")
    machine.fails = {"migrate"}
    with pytest.raises(machine.tool.FailedError, match=r"two failed: .* one runs again"):
        machine.activate("two")
    assert machine.tool.current() == "one"
    assert not machine.did("restore")
    assert not machine.tool.INTENT.exists()


def test_a_changed_database_is_put_back_before_the_old_release_starts(machine):
    machine.release("two", "0001", "0002")
    machine.fails = {"migrate"}
    with pytest.raises(machine.tool.FailedError, match="one runs again"):
        machine.activate("two")
    restored = next(n for n, call in enumerate(machine.calls) if "restore before-upgrade.backup" in call)
    started = next(n for n, call in enumerate(machine.calls) if call.startswith("systemctl start"))
    assert restored < started


def test_where_neither_runs_both_reasons_are_told_and_the_intent_stays(machine):
    machine.release("two", "0001")
    machine.ready = False
    with pytest.raises(machine.tool.FailedError, match=r"two failed: .*no worker.* failed as well: .*no worker"):
        machine.activate("two")
    assert json.loads(machine.tool.INTENT.read_text())["previous"] == "one"


def test_an_activation_cut_short_is_finished_and_still_knows_what_came_before(machine):
    machine.release("two", "0001", "0002")
    machine.tool.plan("two", "one")
    machine.tool.switch("two")  # and there the machine lost its power
    machine.calls.clear()
    machine.fails = {"migrate"}
    with pytest.raises(machine.tool.FailedError, match="one runs again"):
        machine.activate("two")
    assert machine.tool.current() == "one"
    # Its backup is from before the switch: a second one would be of the changed database.
    assert not machine.did("service backup")


def test_an_activation_cut_short_is_taken_back_before_another_release_comes(machine):
    machine.release("two", "0001", "0002")
    machine.release("three", "0001")
    machine.tool.plan("two", "one")
    machine.tool.switch("two")
    assert machine.activate("three") == "three activated"
    assert machine.did("restore before-upgrade.backup")


def test_a_former_release_asked_for_by_name_is_taken_with_the_database_as_it_is(machine):
    machine.release("two", "0001", "0002")
    machine.fails = {"systemctl start nacre-api.service", "restore"}
    with pytest.raises(machine.tool.FailedError, match="failed as well"):
        machine.activate("two")
    machine.fails = set()  # somebody has put the database back by hand
    assert machine.activate("one") == "one activated"
    assert not machine.did("restore")


def test_the_newest_releases_and_the_active_one_stay(machine):
    for name in ("two", "three", "four", "five"):
        machine.release(name)
    machine.tool.prune()
    assert set(machine.tool.installed()) == {"one", "three", "four", "five"}
