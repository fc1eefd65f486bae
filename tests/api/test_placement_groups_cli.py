"""`nacre placement-group` and `nacre host-group set`, against the real API."""

import json


def rows(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines()]


def test_a_rule_is_made_obeyed_shown_and_taken_back(cloud, nacre):
    assert nacre("placement-group", "create", "db", "--apart")[0] == 0
    for number in ("1", "2"):
        cloud.observe()
        made = nacre("vm", "create", f"db-{number}", "--image", "mini", "--flavor", "small", "--placement-group", "db")
        assert made[0] == 0, made
        cloud.settle()
    hosts = [cloud.vm(f"db-{number}")["host"] for number in (1, 2)]
    listed = rows(nacre("placement-group", "list")[1])
    assert listed[1] == ["db", "apart", "hard", "ok", "db-1", f"({hosts[0]}),", "db-2", f"({hosts[1]})"]
    assert ["db-1", hosts[0]] in rows(nacre("placement-group", "show", "db")[1])
    code, _, told = nacre("placement-group", "delete", "db")
    assert (code, "placement_group.in_use" in told) == (1, True)
    for number in (1, 2):
        assert nacre("vm", "set", f"db-{number}", "--clear-placement-groups")[0] == 0
    assert nacre("placement-group", "delete", "db")[2] == "placement group db is deleted\n"


def test_what_does_not_fit_a_rule_is_told_for_every_host(cloud, nacre):
    nacre("placement-group", "create", "db", "--apart")
    for number in (1, 2):
        cloud.make_vm(f"db-{number}", placement_groups=["db"])
    cloud.observe()
    code, _, told = nacre("vm", "create", "db-3", "--image", "mini", "--flavor", "small", "--placement-group", "db")
    assert code == 1
    for host in ("host1", "host2"):
        assert f"{host}: anti-affinity 'db': 1 of its VMs run here" in told


def test_a_rule_is_made_soft_and_a_vm_changes_its_rules(cloud, nacre):
    assert nacre("placement-group", "create", "app", "--together", "--soft")[0] == 0
    out = nacre("placement-group", "set", "app", "--hard", "-o", "json")[1]
    assert json.loads(out)["hard"] is True
    cloud.make_vm()
    edited = nacre("vm", "set", "web", "--placement-group", "app", "-o", "json")[1]
    assert json.loads(edited)["placement_groups"] == ["app"]


def test_the_ratios_of_a_group_are_set_and_left_to_the_settings_again(cloud, nacre):
    nacre("host-group", "create", "dense")
    nacre("host-group", "add", "dense", "host1")
    out = nacre("host-group", "set", "dense", "--vcpu-ratio", "2", "--memory-ratio", "1.1", "--algorithm", "pack")[1]
    assert ["vcpu_ratio", "2.0"] in rows(out)
    assert rows(nacre("host-group", "list")[1])[1][:5] == ["dense", "host1", "2.0", "1.1", "pack"]
    cloud.make_vm()
    assert cloud.api.get("/v1/hosts/host1").json()["usable"]["vcpus"] == 16
    out = nacre("host-group", "set", "dense", "--vcpu-ratio", "default", "--algorithm", "default", "-o", "json")[1]
    assert (json.loads(out)["vcpu_ratio"], json.loads(out)["memory_ratio"], json.loads(out)["algorithm"]) == (
        None,
        1.1,
        None,
    )
    for said in ("much", "nan", "inf"):
        code, _, told = nacre("host-group", "set", "dense", "--vcpu-ratio", said)
        assert (code, "is not a ratio: write a number, or default" in told) == (2, True)


def test_a_group_is_made_with_a_word_on_what_it_is_for(nacre):
    code, _, told = nacre("placement-group", "create", "db")
    assert (code, "--apart or --together" in told) == (2, True)


def test_a_host_that_is_promised_too_far_says_so_in_the_list(cloud, nacre):
    host = cloud.make_vm()["host"]
    cloud.flavor("wide", vcpus=6, memory_mib=256)
    cloud.make_vm("two", flavor="wide")
    cloud.make_vm("three", flavor="wide")
    nacre("host", "set", host, "--reserved-vcpus", "7")
    over = cloud.api.get(f"/v1/hosts/{host}").json()["overcommitted_by"]
    told = next(line for line in nacre("host", "list")[1].splitlines() if line.startswith(host))
    assert f"overcommitted by {over['vcpus']} vCPU" in told
