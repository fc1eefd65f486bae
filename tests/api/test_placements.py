"""Decisions: kept short, told in full while the facts of then are kept, decided once more, and what if."""

from datetime import timedelta

import pytest

from service.db.engine.database import unit_of_work
from service.db.tables import Allocation, Host, Placement
from service.placer import background
from tests.api.world import KEY, Cloud, expect


def placements(cloud: Cloud, **query) -> list[dict]:
    answer = cloud.api.get("/v1/placements", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def placement(cloud: Cloud, vm: str = "web", **query) -> dict:
    vm_id = cloud.vm(vm)["id"]
    newest = placements(cloud, vm=vm_id)[0]["id"]
    answer = cloud.api.get(f"/v1/placements/{newest}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def simulate(cloud: Cloud, **body) -> dict:
    answer = cloud.api.post("/v1/placements:simulate", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_decision_is_kept_with_its_request_the_best_hosts_and_why_not_the_others(cloud):
    cloud.api.patch("/v1/hosts/host2", json={"state": "cordoned"})
    web = cloud.make_vm()
    kept = placement(cloud)
    assert (kept["vm_id"], kept["chosen"]["host_name"], kept["algorithm"]) == (web["id"], "host1", "storage_cpu")
    assert kept["request"]["vcpus"] == 1
    assert kept["request"]["memory_mib"] == 448 + cloud.settings.memory_overhead_mib
    assert kept["reasons"] == {"state": 1}
    assert kept["verdicts"] == [kept["chosen"]]
    assert kept["policy_hash"]
    assert kept["facts"]["number"] >= 1


def test_a_decision_in_full_is_exactly_what_was_thought_of_every_host(cloud):
    cloud.api.patch("/v1/hosts/host2", json={"state": "cordoned"})
    cloud.make_vm()
    short = placement(cloud)
    cloud.api.patch("/v1/hosts/host2", json={"state": "active"})
    cloud.make_vm("after")  # much has changed since
    full = placement(cloud, full="true")
    assert full["verdicts"][0] == short["chosen"]
    assert (short["exact"], full["exact"]) == (None, True)
    assert [(verdict["host_name"], verdict["reasons"]) for verdict in full["verdicts"]] == [
        ("host1", []),
        ("host2", ["host is cordoned"]),
    ]


def test_a_recalculation_that_gives_other_numbers_than_were_kept_says_so(cloud):
    """As after an upgrade that changed a scorer."""
    cloud.make_vm()
    row = cloud.rows(Placement)[0]
    cloud.change(Placement.update(top=[row.top[0] | {"score": 0.123456}, *row.top[1:]]))
    assert placement(cloud, full="true")["exact"] is False


def test_facts_that_are_no_longer_kept_are_gone(cloud):
    cloud.make_vm()
    before = placement(cloud, full="true")
    cloud.clock.elapsed_s += timedelta(hours=cloud.settings.facts_archive_hours + 2).total_seconds()
    background.purge(cloud.ctx.placer, cloud.ctx.clock.now(), cloud.ctx.settings)
    short = placement(cloud)
    assert short["verdicts"] == before["verdicts"], "the best hosts are kept with the decision"
    path = f"/v1/placements/{short['id']}"
    expect(cloud.api.get(path, params={"full": "true"}), 410, "placement.facts_gone")
    expect(cloud.api.post(f"{path}/replay", json={}), 410, "placement.facts_gone")


def test_what_the_writing_thread_does_keeps_every_decision(cloud):
    for name in ("a", "b"):
        cloud.make_vm(name)
        background.write(cloud.ctx.placer, cloud.ctx.db, cloud.ctx.clock.now())
    for name in ("a", "b"):
        assert len(placement(cloud, name, full="true")["verdicts"]) == 2


def test_a_replay_tells_what_another_algorithm_would_have_done(cloud):
    for name in ("a", "b", "c"):
        cloud.make_vm(name)
    for name in ("a", "b", "c"):
        kept = placement(cloud, name)
        again = cloud.api.post(f"/v1/placements/{kept['id']}/replay", json={}).json()
        assert again["same"] is True
        assert again["chosen"] == kept["chosen"]
    kept = placement(cloud, "b")
    packed = cloud.api.post(f"/v1/placements/{kept['id']}/replay", json={"algorithm": "pack"}).json()
    assert packed["algorithm"] == "pack"
    assert packed["chosen"]["host_name"] == placement(cloud, "a")["chosen"]["host_name"] != kept["chosen"]["host_name"]
    assert packed["same"] is False


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"algorithm": "best"}, "placement.unknown_algorithm"),
        ({"algorithm": "exec:/bin/true"}, "placement.unknown_algorithm"),
        ({"weights": {"luck": 1.0}}, "placement.bad_weights"),
        ({"weights": {"cpu_headroom": -1.0}}, "placement.bad_weights"),
    ],
)
def test_an_unknown_algorithm_or_weight_is_refused(cloud, body, code):
    cloud.make_vm()
    expect(cloud.api.post(f"/v1/placements/{placement(cloud)['id']}/replay", json=body), 422, code)
    expect(cloud.api.post("/v1/placements:simulate", json=body), 422, code)


def test_decisions_are_listed_newest_first_and_by_vm_and_host(cloud):
    for name in ("a", "b", "c"):
        cloud.make_vm(name)
    listed = placements(cloud)
    assert [one["vm_id"] for one in listed] == [cloud.vm(name)["id"] for name in ("c", "b", "a")]
    assert [one["vm_id"] for one in placements(cloud, vm="b")] == [cloud.vm("b")["id"]]
    on = cloud.vm("b")["host"]
    assert {one["chosen"]["host_name"] for one in placements(cloud, host=on)} == {on}
    assert placements(cloud, host="nowhere") == []
    page = cloud.api.get("/v1/placements", params={"limit": 2}).json()
    rest = cloud.api.get("/v1/placements", params={"limit": 2, "page_token": page["next_page_token"]}).json()
    assert page["items"] + rest["items"] == listed


def test_a_decision_that_nobody_made_is_missing(cloud):
    expect(cloud.api.get("/v1/placements/none"), 404, "placement.not_found")


def test_a_simulation_places_on_what_is_and_leaves_it_as_it_was(cloud):
    cloud.make_vm()
    before = cloud.rows(Allocation), cloud.rows(Placement)
    told = simulate(cloud, vms=[{"name": "more", "count": 20, "flavor": "small"}])
    (more,) = told["vms"]
    assert (more["placed"], sum(more["hosts"].values())) == (15, 15), "8 vCPUs on each host, one is taken"
    assert more["refused"]["chosen"] is None
    assert more["refused"]["reasons"] == {"vcpus": 2}
    assert more["first"]["chosen"]["score"] > 0
    assert told["all_fit"] is False
    assert told["free_vcpus"] == 0
    assert (cloud.rows(Allocation), cloud.rows(Placement)) == before
    assert simulate(cloud)["free_vcpus"] == 15


def test_a_batch_that_must_fit_as_a_whole_is_placed_as_a_whole_or_not_at_all(cloud):
    cloud.observe()
    told = simulate(cloud, fit="all", vms=[{"vcpus": 8, "memory_mib": 1024, "count": 3}])
    assert (told["vms"][0]["placed"], told["vms"][0]["hosts"], told["free_vcpus"]) == (0, {}, 16)
    told = simulate(cloud, fit="all", vms=[{"vcpus": 8, "memory_mib": 1024, "count": 2}])
    assert (told["vms"][0]["placed"], told["all_fit"], told["free_vcpus"]) == (2, True, 0)


def test_the_vms_of_a_lost_host_are_placed_first(cloud):
    homes = {name: cloud.make_vm(name)["host"] for name in ("a", "b", "c")}
    lost = homes["a"]
    told = simulate(cloud, hosts_lost=[lost], vms=[{"vcpus": 1, "memory_mib": 256, "count": 8}])
    (gone,) = told["lost"]
    mine = list(homes.values()).count(lost)
    assert (gone["name"], gone["count"], gone["placed"]) == (lost, mine, mine)
    assert set(gone["hosts"]) == {"host1", "host2"} - {lost}
    assert told["vms"][0]["placed"] == 8 - len(homes)
    assert told["hosts"] == 1


def test_a_host_that_is_added_takes_vms(cloud):
    cloud.observe()
    more = {"vms": [{"vcpus": 8, "memory_mib": 1024, "count": 4}]}
    assert simulate(cloud, **more)["vms"][0]["placed"] == 2
    told = simulate(cloud, **more, hosts_added=[{"name": "new", "like": "host1", "count": 2}])
    assert told["vms"][0]["hosts"] == {"host1": 1, "host2": 1, "new-1": 1, "new-2": 1}
    big = {"name": "big", "like": "host1", "vcpus": 64, "memory_mib": 65536}
    assert simulate(cloud, vms=[{"vcpus": 32, "memory_mib": 1024}], hosts_added=[big])["vms"][0]["hosts"] == {"big": 1}


@pytest.mark.parametrize("names", [["new", "new"], ["host2"], ["new-1", "new"]])
def test_hosts_that_would_be_called_alike_are_refused(cloud, names):
    added = [{"name": name, "like": "host1", "count": 2 if name == "new" else 1} for name in names]
    document = expect(cloud.api.post("/v1/placements:simulate", json={"hosts_added": added}), 422, "request.invalid")
    assert "two hosts would be named" in document["detail"]


def test_a_decision_names_its_vm_while_that_is_there(cloud):
    vm = cloud.make_vm()
    assert placements(cloud)[0]["vm"] == "web"
    cloud.done(cloud.api.delete("/v1/vms/web"))
    assert [(one["vm"], one["vm_id"]) for one in placements(cloud)] == [(None, vm["id"])]


def test_a_batch_that_is_tried_tells_why_not_all_would_fit(cloud):
    cloud.flavor("half", vcpus=3)
    body = {"name": "web", "image": "mini", "flavor": "half", "ssh_keys": [KEY], "count": 9, "fit": "most"}
    told = cloud.api.post("/v1/vm-batches", json=body, params={"dry_run": "true"}).json()
    assert len(told["placements"]) == 4
    assert "No host can take VM 'web-5'" in told["why_not_all"]
    assert set(told["reasons"]) == {"host1", "host2"}


def test_ten_thousand_vms_are_answered_and_more_are_refused(cloud):
    cloud.observe()
    told = simulate(cloud, vms=[{"vcpus": 1, "memory_mib": 64, "count": 10_000}])
    assert told["vms"][0]["placed"] == 16
    one = {"vcpus": 1, "memory_mib": 64}
    body = {"vms": [one | {"count": 10_000}, one]}
    expect(cloud.api.post("/v1/placements:simulate", json=body), 422, "placement.batch_too_large")
    expect(cloud.api.post("/v1/placements:simulate", json={"vms": [one | {"count": 10_001}]}), 422, "request.invalid")


@pytest.mark.parametrize(
    "vms", [{}, {"flavor": "small", "vcpus": 1}, {"vcpus": 1}, {"flavor": "small", "vcpus": 1, "memory_mib": 64}]
)
def test_a_vm_of_no_size_or_two_is_refused(cloud, vms):
    expect(cloud.api.post("/v1/placements:simulate", json={"vms": [vms]}), 422, "request.invalid")


def test_a_host_that_is_not_there_is_named(cloud):
    for body in ({"hosts_lost": ["nowhere"]}, {"hosts_added": [{"like": "nowhere"}]}):
        expect(cloud.api.post("/v1/placements:simulate", json=body), 422, "host.not_found")


def test_a_refusal_tells_every_hosts_reasons(cloud):
    cloud.api.patch("/v1/hosts/host2", json={"state": "cordoned"})
    cloud.flavor("wide", vcpus=64)
    cloud.observe()
    told = expect(cloud.create(flavor="wide"), 409, "placement.no_host")
    assert told["reasons"]["host1"] == ["56 vCPU short (8 free)"]
    assert "host is cordoned" in told["reasons"]["host2"]


def test_what_was_decided_in_a_dry_run_is_forgotten(cloud):
    cloud.observe()
    answer = cloud.api.post(
        "/v1/vms",
        params={"dry_run": "true"},
        json={"name": "web", "image": "mini", "flavor": "small", "ssh_keys": [KEY]},
    )
    (tried,) = answer.json()["placements"]
    assert tried["chosen"] == tried["verdicts"][0]
    assert not cloud.rows(Placement)
    with unit_of_work(cloud.db):
        assert sum(host.vm_count for host in Host.select()) == 0
    assert simulate(cloud)["free_vcpus"] == 16
