"""`nacre placement …`, and what `--explain` and refusals tell."""

import json

import pytest

from service.cli.reasons import grouped
from tests.unit.cli_server import JOB

MADE = JOB | {"object": {"kind": "vm", "id": "v1"}}

VERDICT = {"host_id": "h1", "host_name": "host1", "reasons": [], "score": 0.5, "terms": [["cpu_use", 0.25]]}
RULED_OUT = {"host_id": "h2", "host_name": "host2", "reasons": ["host is fenced"], "score": None, "terms": []}
DECISION = {
    "id": "p1", "vm_id": "v1", "vm": "web", "created_at": "2030-01-01T00:00:00Z", "algorithm": "storage_cpu",
    "policy_hash": "ab", "fallback": None, "chosen": VERDICT, "verdicts": [VERDICT], "reasons": {"state": 1},
    "facts": {"journal": "j", "number": 7},
}  # fmt: skip


def test_a_decision_tells_terms_and_what_ruled_out_the_others(nacre, server):
    server.say(DECISION | {"verdicts": [VERDICT, RULED_OUT], "fallback": "exec:/x: hung"})
    code, out, err = nacre("placement", "show", "p1", "--full")
    assert code == 0
    assert server.asked[0][1] == "/v1/placements/p1?full=true"
    assert [line.split()[0] for line in out.splitlines()] == ["HOST", "host1", "host2"]
    assert "chosen: host1, algorithm storage_cpu, 2030-01-01T00:00:00Z" in err
    assert "cpu_use 0.25" in out
    assert "host is fenced" in out
    assert "hosts rejected by filter: state 1" in err
    assert "fallback: exec:/x: hung" in err


def test_why_asks_for_every_host_and_takes_the_short_answer_when_the_facts_are_gone(nacre, server):
    server.say(DECISION)
    server.say({"code": "placement.facts_gone", "detail": "no longer kept"}, status=410)
    code, out, _ = nacre("vm", "why", "web")
    assert (code, len(server.asked)) == (0, 2)
    assert "host1" in out


def test_create_explains_what_was_thought_of_the_hosts(nacre, server):
    server.say(MADE)
    server.say(DECISION)
    server.say(DECISION)
    code, out, _ = nacre("vm", "create", "web", "--flavor", "f", "--explain")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["HOST", "host1"]
    assert [path for _, path, *_ in server.asked] == [
        "/v1/vms", "/v1/vms/v1/placement", "/v1/placements/p1?full=true",
    ]  # fmt: skip


def test_an_explanation_is_a_part_of_the_jobs_json(nacre, server):
    for answer in (MADE, DECISION, DECISION):
        server.say(answer)
    code, out, _ = nacre("vm", "create", "web", "--flavor", "f", "--explain", "-o", "json")
    told = json.loads(out)
    assert (code, told["id"], told["placement"]["chosen"]) == (0, JOB["id"], VERDICT)


@pytest.mark.parametrize("words", [("--as-many-as-fit",), ("--explain", "--count", "2")])
def test_options_that_say_nothing_together_are_refused(nacre, server, words):
    code, _, told = nacre("vm", "create", "web", "--flavor", "f", *words)
    assert (code, server.asked) == (2, [])
    assert "--count" in told


def test_a_batch_that_is_tried_is_told_by_host_and_why_not_more(nacre, server):
    why = {"why_not_all": "No host can take VM 'web-3'.", "reasons": {"host2": ["host is fenced"]}}
    server.say({"dry_run": True, "job": None, "placements": [DECISION, DECISION], **why})
    code, out, told = nacre("--dry-run", "vm", "create", "web", "--flavor", "f", "--count", "3", "--as-many-as-fit")
    assert code == 0, told
    assert [line.split() for line in out.splitlines()] == [["HOST", "VMS"], ["host1", "2"]]
    assert "host2: host is fenced" in told


def test_a_list_is_of_the_newest_and_may_be_narrowed(nacre, server):
    server.say({"items": [DECISION], "next_page_token": None})
    _, out, _ = nacre("placement", "list", "--vm", "web", "--limit", "3")
    assert server.asked[0][1] == "/v1/placements?vm=web&limit=3"
    assert out.splitlines()[1].split() == ["p1", "2030-01-01T00:00:00Z", "web", "host1", "0.500", "storage_cpu"]


def test_a_replay_names_algorithm_and_weights(nacre, server):
    server.say({key: value for key, value in DECISION.items() if key not in ("id", "vm_id")} | {"same": False})
    code, _, err = nacre("placement", "replay", "p1", "--algorithm", "pack", "--weight", "trend=0.5")
    assert code == 0
    assert json.loads(server.asked[0][2]) == {"algorithm": "pack", "weights": {"trend": 0.5}}
    assert "another host than the original decision" in err


def test_a_simulation_says_vms_lost_and_added_hosts(nacre, server):
    outcome = {"name": "small", "count": 3, "placed": 2, "hosts": {"host1": 2}, "first": DECISION, "refused": DECISION}
    left = [{"host": "host1", "vms": 3, "free_vcpus": 5, "free_memory_mib": 9}]
    outcome["first"] = DECISION | {"fallback": "exec:/x: hung"}
    server.say({"algorithm": "pack", "lost": [], "vms": [outcome], "free_vcpus": 5, "free_memory_mib": 9, "left": left})
    words = ("--vms", "small=3", "--vms", "2x512", "--lose", "host3", "--add", "host1=2", "--all")
    code, out, err = nacre("placement", "simulate", *words)
    assert code == 0
    assert server.asked[0][1] == "/v1/placements:simulate"
    assert json.loads(server.asked[0][2]) == {
        "vms": [
            {"name": "small", "flavor": "small", "count": 3},
            {"name": "2x512", "vcpus": 2, "memory_mib": 512, "count": 1},
        ],
        "hosts_lost": ["host3"],
        "hosts_added": [{"name": "like-host1", "like": "host1", "count": 2}],
        "fit": "all",
    }
    assert out.splitlines()[1].split() == ["small", "3", "2", "host1", "2", "state", "1"]
    assert "algorithm pack; 5 vCPUs and 9 MiB would remain free" in err
    assert "fallback: exec:/x: hung" in err


@pytest.mark.parametrize(
    "words",
    [
        ("--vms", "small=x"),
        ("--vms", "=3"),
        ("--add", "=1"),
        ("--weight", "trend"),
        ("--weight", "trend=x"),
        ("--weight", "trend=nan"),
    ],
)
def test_what_cannot_be_read_is_refused_before_anything_is_asked(nacre, server, words):
    code, _, _ = nacre("placement", "simulate", *words)
    assert (code, server.asked) == (2, [])


def test_reasons_of_many_hosts_are_grouped_by_what_they_say():
    few = {f"host{number}": [f"{number} vCPU short"] for number in range(20)}
    assert len(grouped(few)) == 20
    many = {f"host{number:03d}": [f"{number} vCPU short"] for number in range(100)} | {"odd": ["host is fenced"]}
    assert grouped(many) == ["100 hosts, for example host000: 0 vCPU short", "odd: host is fenced"]
