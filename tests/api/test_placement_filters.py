"""Why not: each filter through the API, with the words and numbers of the refusal."""

import pytest

from service.db.tables import Host, Pool, Storage, Vm
from tests.api.folk import project
from tests.api.world import Cloud, expect


@pytest.fixture
def one(cloud) -> Cloud:
    """Only host1 may get VMs: host2 is cordoned, which every refusal says of it."""
    cloud.api.patch("/v1/hosts/host2", json={"state": "cordoned"})
    return cloud


def refusal(cloud, answer, host: str = "host1") -> str:
    """The only reason against a host."""
    (reason,) = reasons(answer, host)
    return reason


def reasons(answer, host: str = "host1") -> list[str]:
    return expect(answer, 409, "placement.no_host")["reasons"][host]


def change(cloud, name: str, **columns) -> None:
    cloud.change(Host.update(**columns).where(Host.name == name))


def hardware(cloud, name: str, **parts) -> None:
    host = next(row for row in cloud.rows(Host) if row.name == name)
    change(cloud, name, hardware={**host.hardware, **parts})


def pool(cloud, **facts) -> None:
    row = next(row for row in cloud.rows(Pool) if row.name == "vms")
    cloud.change(Pool.update(facts={**row.facts, **facts}).where(Pool.name == "vms"))


def migrate(cloud, name: str = "web", **body):
    return cloud.api.post(f"/v1/vms/{name}/migrate", json=body)


def stopped(cloud, name: str = "web"):
    cloud.make_vm(name)
    cloud.done(cloud.api.post(f"/v1/vms/{name}/force-off", json={}))
    cloud.observe()


def start(cloud, name: str = "web"):
    return cloud.api.post(f"/v1/vms/{name}/start", json={})


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("cordoned", "host is cordoned"),
        ("maintenance", "host is maintenance"),
        ("fenced", "host is fenced: it is shut out of the storage until it is known to be clean"),
    ],
)
def test_a_host_that_is_not_active_gets_nothing(one, state, told):
    change(one, "host1", state=state)
    assert refusal(one, one.create()) == told
    assert refusal(one, one.create(), "host2") == "host is cordoned"


def test_a_host_whose_facts_are_old_gets_nothing(one):
    one.observe()
    one.clock.elapsed_s += 61
    one.round("observe_storage")
    assert reasons(one.create())[0] == "facts are 61 s old, at most 60 s are trusted"


def test_a_host_that_does_not_answer_gets_nothing(one):
    one.host("host1").reachable = False
    one.observe()
    assert refusal(one, one.create()).startswith("unreachable: ")


@pytest.mark.parametrize("storage", [{"op_latency_ms": -5.0}, {"osds": -1}, {"slow_ops": "many"}])
def test_a_host_that_reports_nonsense_gets_nothing_and_the_others_decide(cloud, storage):
    change(cloud, "host1", storage=storage)
    cloud.done(cloud.create())
    assert cloud.vm()["host"] == "host2"
    cloud.api.patch("/v1/hosts/host2", json={"state": "cordoned"})
    assert refusal(cloud, cloud.create("more")).startswith("reports nonsense: ")


def test_memory_is_counted_with_what_qemu_itself_takes(one):
    one.flavor("tall", vcpus=1, memory_mib=8192)
    assert refusal(one, one.create(flavor="tall")) == "64 MiB of memory short (8192 MiB free)"


def test_vcpus_are_counted_less_what_is_reserved(one):
    one.api.patch("/v1/hosts/host1", json={"reserved_vcpus": 6})
    one.flavor("wide", vcpus=3, memory_mib=256)
    assert refusal(one, one.create(flavor="wide")) == "1 vCPU short (2 free)"


def test_all_that_is_short_is_told_at_once(one):
    one.flavor("huge", vcpus=64, memory_mib=65536)
    assert sorted(reasons(one.create(flavor="huge"))) == [
        "56 vCPU short (8 free)",
        "57408 MiB of memory short (8192 MiB free)",
    ]


def test_a_guest_that_runs_under_kvm_finds_its_cpus_features_where_it_goes(cloud):
    cloud.change(Host.update(virt_type="kvm"))
    source = cloud.make_vm()["host"]
    target = "host2" if source == "host1" else "host1"
    hardware(cloud, source, cpu_features=["aes", "avx512f", "sse2"])
    hardware(cloud, target, cpu_features=["aes", "sse2"])
    assert refusal(cloud, migrate(cloud), target) == "CPU Nehalem lacks avx512f"
    cloud.done(cloud.api.post("/v1/vms/web/force-off", json={}))
    cloud.api.patch(f"/v1/hosts/{source}", json={"state": "cordoned"})
    cloud.done(start(cloud))  # a start takes the CPU of its own host


def test_a_named_cpu_is_the_same_everywhere(cloud_with):
    cloud = cloud_with(guest_cpu_model="Nehalem")
    cloud.change(Host.update(virt_type="kvm"))
    source = cloud.make_vm()["host"]
    hardware(cloud, source, cpu_features=["avx512f"])
    cloud.done(migrate(cloud))
    assert cloud.vm()["host"] != source


def test_a_guest_goes_on_under_the_virtualisation_that_it_was_started_with(cloud):
    source = cloud.make_vm()["host"]
    target = "host2" if source == "host1" else "host1"
    change(cloud, target, virt_type="kvm")
    assert refusal(cloud, migrate(cloud), target) == "runs kvm guests, the VM was started as qemu"


def test_a_nearly_full_pool_takes_no_new_vm_but_those_that_are_there_start_and_move(one):
    stopped(one)
    one.api.patch("/v1/hosts/host2", json={"state": "active"})
    pool(one, near_full=True)
    assert refusal(one, one.create("new")) == "pool vms is nearly full: it takes no new data"
    one.done(start(one))
    pool(one, near_full=True)
    one.done(migrate(one))


def test_a_full_pool_starts_nothing_and_lets_vms_move(cloud):
    stopped(cloud)
    cloud.make_vm("other")
    pool(cloud, full=True)
    assert refusal(cloud, start(cloud)) == "pool vms is full"
    cloud.done(migrate(cloud, "other"))


def test_every_pool_that_the_vm_writes_counts(one):
    one.storage.add_pool("fast")
    one.done(one.api.post("/v1/pools", json={"name": "fast"}))
    one.observe()
    one.change(Pool.update(observed_at=one.clock.now()).where(Pool.name == "vms"))
    pool_row = next(row for row in one.rows(Pool) if row.name == "fast")
    one.change(Pool.update(facts={**pool_row.facts, "near_full": True}).where(Pool.name == "fast"))
    disk = {"size_gib": 1, "pool": "fast"}
    assert refusal(one, one.create(disks=[disk])) == "pool fast is nearly full: it takes no new data"
    assert one.create().status_code == 202


def test_a_pool_that_was_not_seen_lately_takes_nothing(one):
    one.observe()
    one.clock.elapsed_s += 61
    one.round("observe_hosts")
    assert "pool vms was seen 61 s ago, at most 60 s are trusted" in reasons(one.create())
    one.change(Pool.delete())
    one.change(Storage.delete())
    assert "pool vms was never observed" in reasons(one.create())


def test_the_bridges_of_all_its_cards_are_there(one):
    hardware(one, "host1", bridges=["br-other"])
    assert refusal(one, one.create()) == "has no bridge br-guest"
    hardware(one, "host1", bridges=["br-guest", "br-other"])
    assert one.create().status_code == 202


def test_the_firmware_is_there(one):
    stopped(one)
    one.change(Vm.update(firmware="uefi"))
    hardware(one, "host1", firmwares=["bios"])
    assert refusal(one, start(one)) == "has no uefi firmware for guests"


def test_a_project_stays_in_its_host_groups(one):
    project(one, "blue")
    one.created(one.api.post("/v1/host-groups", json={"name": "rack"}))
    one.api.put("/v1/host-groups/rack/hosts/host2")
    one.api.put("/v1/projects/blue/host-groups/rack")
    body = {"name": "web", "image": one.api.get("/v1/images/mini").json()["id"], "flavor": "small"}
    answer = one.api.post("/v1/vms", params={"project": "blue"}, json=body)
    if answer.status_code == 422:  # the image is the default project's: offer it
        one.api.patch("/v1/images/mini", json={"visibility": "public"})
        answer = one.api.post("/v1/vms", params={"project": "blue"}, json=body)
    assert refusal(one, answer) == "in no host group of the project"


def test_only_so_many_moves_are_in_flight_on_either_end(cloud):
    cloud.api.patch("/v1/hosts/host2", json={"state": "cordoned"})
    for name in ("one", "two", "three"):
        cloud.make_vm(name)
    cloud.api.patch("/v1/hosts/host2", json={"state": "active"})
    for name in ("one", "two"):
        assert migrate(cloud, name).status_code == 202
    told = "2 migrations in flight, at most 2 are allowed at once"
    assert refusal(cloud, migrate(cloud, "three"), "host2") == told
    assert cloud.create("new").status_code == 202  # who does not move is not in their way
    cloud.settle()
    cloud.observe()
    cloud.done(migrate(cloud, "three"))


def test_room_is_kept_for_the_loss_of_the_largest_host(cloud_with):
    cloud = cloud_with(placement_keep_room=True)
    cloud.flavor("half", vcpus=4, memory_mib=256)
    for number in (1, 2):
        cloud.make_vm(f"vm-{number}", flavor="half")
    cloud.observe()
    told = "7 vCPU would be free in all, 8 vCPU are kept for the loss of the largest host"
    assert refusal(cloud, cloud.create()) == told
    assert refusal(cloud, cloud.create(), "host2") == told


def test_room_that_is_kept_is_there_for_moves_and_for_what_was_lost(cloud_with):
    cloud = cloud_with(placement_keep_room=True)
    cloud.flavor("half", vcpus=4, memory_mib=256)
    for number in (1, 2):
        cloud.make_vm(f"vm-{number}", flavor="half")
    cloud.api.patch("/v1/hosts/host1", json={"reserved_vcpus": 1})  # now one is kept that is not there
    cloud.observe()
    cloud.done(migrate(cloud, "vm-1"))
    for name in ("host1", "host2"):  # a power cut
        cloud.host(name).domains.clear()
    cloud.observe()
    assert cloud.vm("vm-1")["host"] is None
    cloud.round("restore_vms")
    cloud.settle()
    assert cloud.vm("vm-1")["observed_state"] == "running"


def test_a_dry_run_is_refused_with_the_same_words(one):
    one.api.patch("/v1/hosts/host1", json={"reserved_vcpus": 7})
    one.flavor("wide", vcpus=2, memory_mib=256)
    body = {"name": "web", "image": "mini", "flavor": "wide"}
    assert refusal(one, one.api.post("/v1/vms", params={"dry_run": "true"}, json=body)) == "1 vCPU short (1 free)"
