"""Which algorithm places a VM, and what happens when one from outside has no valid answer."""

import json
import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from service.operations.placement import external_algorithm
from tests.api.world import KEY, expect
from tests.worlds.jobs import SetClock

BODY = {"name": "web", "image": "mini", "flavor": "small", "ssh_keys": [KEY]}
# Of two equal hosts, storage_cpu takes the first by name.
PREFERS_THE_LAST = """
    import json, sys
    asked = json.load(sys.stdin)
    print(json.dumps({"host": asked["candidates"][-1]["host"]}))
"""
FAILURES = {
    "names a host that is not there": 'print(\'{"host": "moon"}\')',
    "names a host that is ruled out": 'print(\'{"host": "host2"}\')',
    "is none of the hosts' names": "print('{\"host\": 7}')",
    "prints rubbish": "print('rubbish')",
    "prints what is nested without end": "print('[' * 100000)",
    "prints no UTF-8": "import sys; sys.stdout.buffer.write(bytes([255, 254]))",
    "prints nothing": "",
    "gives scores that are no numbers": 'print(\'{"scores": {"host1": NaN, "host2": "high"}}\')',
    "gives no scores": "print('{\"scores\": {}}')",
    "crashes": "raise SystemExit('no such weather')",
}


@pytest.fixture
def program(tmp_path):
    """Writes a program; returns it as the setting names it."""

    def write(text: str) -> str:
        path = tmp_path / "algorithm"
        path.write_text("#!/usr/bin/python3\n" + textwrap.dedent(text))
        path.chmod(0o755)
        return f"exec:{path}"

    return write


@pytest.fixture
def entry_points(tmp_path, monkeypatch):
    """Installs a package with an entry point per function."""

    def install(**sources: str) -> None:
        folder = tmp_path / "site"
        (folder / "weather-1.0.dist-info").mkdir(parents=True)
        (folder / "weather-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: weather\nVersion: 1.0\n")
        module = f"weather_{abs(hash(str(tmp_path)))}"
        points = "".join(f"{name} = {module}:{name}\n" for name in sources)
        (folder / "weather-1.0.dist-info/entry_points.txt").write_text(f"[nacre.placement]\n{points}")
        functions = "".join(f"def {name}(request, candidates):\n    {line}\n" for name, line in sources.items())
        (folder / f"{module}.py").write_text(functions)
        monkeypatch.syspath_prepend(str(folder))

    return install


class StartsClock(SetClock):
    """One on which 0.2 s pass with every start of a program that writes an x there each time."""

    def __init__(self, starts: Path) -> None:
        super().__init__()
        self._starts = starts

    def monotonic(self) -> float:
        starts = len(self._starts.read_text()) if self._starts.exists() else 0
        return self.elapsed_s + 0.2 * starts


def decided(cloud, name: str = "web") -> dict:
    return cloud.api.get(f"/v1/vms/{name}/placement").json()


def fallbacks(cloud) -> str:
    lines = cloud.api.get("/metrics").text.splitlines()
    return "\n".join(line for line in lines if line.startswith("nacre_placement_fallbacks_total"))


def test_an_admin_says_for_one_vm_how_it_is_placed(cloud):
    cloud.make_vm("web", placement_algorithm="spread")
    cloud.make_vm("db")
    assert (decided(cloud)["algorithm"], decided(cloud, "db")["algorithm"]) == ("spread", "storage_cpu")


@pytest.mark.parametrize("role", ["operator", "user"])
def test_others_than_admins_do_not_say_how_a_vm_is_placed(cloud, role):
    asked = cloud.client(role).post("/v1/vms", json=BODY | {"placement_algorithm": "pack"})
    expect(asked, 403, "auth.forbidden")


def test_an_algorithm_that_nobody_knows_is_refused_with_those_that_there_are(cloud, entry_points):
    entry_points(sunny="return None")
    answer = expect(cloud.create(placement_algorithm="luck"), 422, "placement.unknown_algorithm")
    assert "storage_cpu, spread, pack, round_robin" in answer["detail"]
    assert "(sunny)" in answer["detail"]
    assert answer["errors"][0]["field"] == "placement_algorithm"


def test_no_request_names_a_program(cloud, program):
    refused = cloud.create(placement_algorithm=program(PREFERS_THE_LAST))
    expect(refused, 422, "placement.unknown_algorithm")


def test_the_settings_name_a_program_that_decides(cloud_with, program):
    name = program(PREFERS_THE_LAST)
    cloud = cloud_with(placement_algorithm=name)
    assert cloud.make_vm()["host"] == "host2"
    assert decided(cloud)["algorithm"] == name
    assert (decided(cloud)["fallback"], fallbacks(cloud)) == (None, "")


def test_a_program_is_told_what_the_vm_needs_and_what_is_known_of_the_hosts(cloud_with, program, tmp_path):
    cloud = cloud_with(placement_algorithm=program(f"""
        import sys
        open("{tmp_path}/asked", "w").write(sys.stdin.read())
        print('{{"scores": {{"host1": 0.2, "host2": 1}}}}')
    """))  # fmt: skip
    assert cloud.make_vm()["host"] == "host2"
    asked = json.loads(Path(tmp_path / "asked").read_text())
    assert asked["version"] == 1
    assert (asked["request"]["vcpus"], asked["request"]["pools"]) == (1, ["vms"])
    assert sorted(one["host"] for one in asked["candidates"]) == ["host1", "host2"]
    candidate = asked["candidates"][0]
    assert 0 <= candidate["score"] <= 1
    assert candidate["terms"]["balance"] == 0.75
    assert (candidate["facts"]["free_vcpus"], candidate["facts"]["project_vms"]) == (8, 0)


@pytest.mark.parametrize("why", FAILURES)
def test_a_program_without_a_valid_answer_is_told_of_and_storage_cpu_decides(cloud_with, program, why):
    name = program(FAILURES[why])
    cloud = cloud_with(placement_algorithm=name)
    cloud.api.patch("/v1/hosts/host2", json={"state": "cordoned"})
    assert cloud.make_vm()["host"] == "host1"
    told = decided(cloud)
    assert told["algorithm"] == "storage_cpu"
    assert told["fallback"].startswith(name)
    assert fallbacks(cloud).endswith(f'algorithm="{name}"}} 1.0')
    full = cloud.api.get(f"/v1/placements/{told['id']}", params={"full": "true"}).json()
    assert (full["exact"], len(full["verdicts"])) == (True, 2), "it can be told in full by what decided"


def test_a_program_that_hangs_is_not_waited_for_again_at_once(cloud_with, program, tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "up")
    up = f'open("{tmp_path}/up", "w").close()'
    name = program(f'open("{tmp_path}/starts", "a").write("x"); {up}; import time; time.sleep(600)')

    class Started(subprocess.Popen):
        """A program whose time begins when it runs, however long the computer takes to start it."""

        def __init__(self, *args, **options) -> None:
            super().__init__(*args, **options)
            (tmp_path / "up").read_text()

    monkeypatch.setattr(subprocess, "Popen", Started)
    cloud = cloud_with(placement_algorithm=name, placement_exec_timeout_s=0.5)
    for vm in ("web", "db"):
        cloud.make_vm(vm)
    assert "no answer within 0.5 s" in decided(cloud)["fallback"]
    assert "is paused for" in decided(cloud, "db")["fallback"]
    assert (tmp_path / "starts").read_text() == "x"
    cloud.clock.elapsed_s += 31
    cloud.make_vm("third")
    assert (tmp_path / "starts").read_text() == "xx"


def test_a_slow_program_does_not_keep_all_writers_waiting_for_a_whole_batch(cloud_with, program, monkeypatch, tmp_path):
    monkeypatch.setattr(external_algorithm, "MOST_TOGETHER_S", 0.3)
    name = program(f'open("{tmp_path}/starts", "a").write("x"); print(\'"host2"\')')
    cloud = cloud_with(placement_algorithm=name, clock=StartsClock(tmp_path / "starts"))
    cloud.observe()
    batch = BODY | {"count": 4}
    assert cloud.api.post("/v1/vm-batches", json=batch).status_code == 202
    told = [decided(cloud, f"web-{number}")["fallback"] for number in (1, 2, 3, 4)]
    assert told[:2] == [None, None]
    assert "took 0.3 s for the earlier VMs of the batch" in told[2]
    assert told[3] == told[2]
    cloud.create("db")
    assert decided(cloud, "db")["fallback"] is None, "the next request begins anew"


def test_scores_may_be_any_finite_numbers(cloud_with, program):
    cloud = cloud_with(
        placement_algorithm=program("print('{\"scores\": {\"host1\": 1e300, \"host2\": 1' + '0' * 400 + '}}')")
    )
    assert cloud.make_vm()["host"] == "host2"


def test_an_entry_point_decides_for_the_whole_cloud_or_for_one_vm(cloud_with, entry_points):
    entry_points(last="return candidates[-1]['host']", first="return {'scores': {'host1': 2}}")
    cloud = cloud_with(placement_algorithm="last")
    assert cloud.make_vm()["host"] == "host2"
    assert cloud.make_vm("db", placement_algorithm="first")["host"] == "host1"
    assert (decided(cloud)["algorithm"], decided(cloud, "db")["algorithm"]) == ("last", "first")


@pytest.mark.parametrize("line", ["return 1 / 0", "raise SystemExit(1)", "return None", "return object()"])
def test_an_entry_point_without_a_valid_answer_is_told_of_and_storage_cpu_decides(cloud_with, entry_points, line):
    entry_points(rainy=line)
    cloud = cloud_with(placement_algorithm="rainy")
    cloud.make_vm()
    assert decided(cloud)["algorithm"] == "storage_cpu"
    assert decided(cloud)["fallback"].startswith("rainy")


def test_an_algorithm_that_a_host_group_names_and_that_is_gone_is_told_of(cloud, monkeypatch, entry_points):
    entry_points(rainy="return candidates[0]['host']")
    cloud.created(cloud.api.post("/v1/host-groups", json={"name": "dense"}))
    cloud.api.patch("/v1/host-groups/dense", json={"algorithm": "rainy"})
    cloud.api.put("/v1/host-groups/dense/hosts/host1")
    cloud.created(cloud.api.post("/v1/projects", json={"name": "blue"}))
    cloud.api.put("/v1/projects/blue/host-groups/dense")
    cloud.api.patch("/v1/images/mini", json={"visibility": "public"})
    image = cloud.api.get("/v1/images/mini").json()["id"]
    monkeypatch.undo()
    cloud.observe()
    asked = cloud.api.post("/v1/vms", params={"project": "blue", "dry_run": "true"}, json=BODY | {"image": image})
    placed = asked.json()["placements"][0]
    assert placed["algorithm"] == "storage_cpu"
    assert "rainy: is no installed entry point of nacre.placement" in placed["fallback"]


def test_the_weights_of_the_settings_are_those_of_the_algorithm_that_they_name(cloud_with):
    cloud = cloud_with(placement_weights={"vcpus_free": 1})
    cloud.make_vm()
    assert [name for name, _ in decided(cloud)["verdicts"][0]["terms"]] == ["vcpus_free"]
    cloud.make_vm("db", placement_algorithm="spread")
    assert len(decided(cloud, "db")["verdicts"][0]["terms"]) > 1


def test_the_program_of_the_how_to_spreads_a_projects_vms(cloud_with, program):
    text = (Path(__file__).parents[2] / "docs/howto/choose-an-algorithm.md").read_text()
    (source,) = re.findall(r"```python\n#!/usr/bin/python3\n(.+?)```", text, re.DOTALL)
    cloud = cloud_with(placement_algorithm=program(source))
    assert [cloud.make_vm(name)["host"] for name in ("a", "b", "c", "d")] == ["host1", "host2", "host1", "host2"]
    assert decided(cloud, "d")["fallback"] is None
