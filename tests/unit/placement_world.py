"""Hosts and requests of every sort, for the tests of the decision."""

from dataclasses import replace

from hypothesis import strategies as st

from service.placement.facts import (
    GroupRule,
    HostFacts,
    HostHardware,
    HostLoad,
    HostStorage,
    HostUsage,
    PoolFacts,
    VmRequest,
)
from service.placement.policy import SCORERS, Policy

NOW_S = 10_000.0
POOL = PoolFacts("vms", observed_at_s=NOW_S - 1, free_bytes=1 << 40, near_full=False, full=False)
HOST = HostFacts(
    host_id="1",
    name="host1",
    state="active",
    observed_at_s=NOW_S - 1,
    virt_type="qemu",
    vcpus=8,
    reserved_vcpus=1,
    memory_mib=8192,
    reserved_memory_mib=1024,
    storage_observed_at_s=NOW_S - 1,
)
WANT = VmRequest(vcpus=1, memory_mib=512, pools=(POOL,), now_s=NOW_S)

NAMES = ("a", "b", "c")
subsets = st.frozensets(st.sampled_from(NAMES))
counts = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 3), max_size=2)
shares = st.none() | st.floats(0, 1)
ages = st.sampled_from([NOW_S - 1, NOW_S - 30, NOW_S - 60, NOW_S - 61, NOW_S + 5])
milliseconds = st.none() | st.floats(0, 500)

storages = st.builds(
    HostStorage,
    osds=st.just(4),
    osds_up=st.integers(0, 4),
    op_latency_ms=milliseconds,
    slow_ops=st.integers(0, 3),
    ping_ms=milliseconds,
    pgs=st.just(50),
    pgs_degraded=st.integers(0, 50),
    pgs_recovering=st.integers(0, 50),
    local_reads=st.dictionaries(st.sampled_from(["vms", "fast"]), st.floats(0, 1)),
)
usages = st.builds(
    HostUsage,
    cpu_average=shares,
    cpu_peak=shares,
    cpu_forecast=shares,
    ceph_cpu=shares,
    ksm_saved_mib=st.none() | st.integers(0, 4096),
)
calm = st.builds(
    replace,
    st.just(HOST),
    vcpus=st.integers(8, 64),
    allocated_vcpus=st.integers(0, 16),
    memory_mib=st.integers(1 << 12, 1 << 17),
    allocated_memory_mib=st.integers(0, 1 << 14),
    load=st.builds(HostLoad, cpu_load=shares),
    projects=counts,
    members=counts,
    storage=st.none() | storages,
    usage=st.none() | usages,
)
wild = st.builds(
    replace,
    st.just(HOST),
    state=st.sampled_from(["active"] * 6 + ["cordoned", "fenced"]),
    observed_at_s=st.none() | ages,
    storage_observed_at_s=st.none() | ages,
    problem=st.sampled_from([None] * 6 + ["no route"]),
    virt_type=st.sampled_from(["qemu"] * 5 + [None, "kvm"]),
    vcpus=st.integers(1, 64),
    reserved_vcpus=st.integers(0, 8),
    vcpu_ratio=st.sampled_from([1.0, 1.15, 2.0, 0.5]),
    allocated_vcpus=st.integers(0, 32),
    memory_mib=st.integers(64, 1 << 17),
    reserved_memory_mib=st.integers(0, 1 << 13),
    memory_ratio=st.sampled_from([1.0, 1.5, 0.9]),
    allocated_memory_mib=st.integers(0, 1 << 15),
    migrations=st.integers(0, 3),
    load=st.builds(HostLoad, cpu_load=shares | st.sampled_from([float("nan"), -0.1, 7.0])),
    hardware=st.builds(
        HostHardware,
        local_disk_free_bytes=st.none() | st.integers(0, 1 << 40),
        firmwares=st.sampled_from([None, frozenset({"bios"}), frozenset({"bios", "uefi"})]),
        cpu_features=subsets,
        bridges=st.none() | subsets,
    ),
    host_groups=subsets,
    projects=counts,
    members=counts,
    storage=st.none() | storages,
    usage=st.none() | usages,
)
hosts = st.one_of(calm, calm, wild)


def named(some):
    """Distinct hosts, in an order of names that is not that of their numbers."""
    return [replace(host, host_id=f"id{n}", name=f"host{n * 7 % 10}{n}") for n, host in enumerate(some)]


clouds = st.lists(hosts, max_size=8).map(named)
rules = st.lists(
    st.builds(
        GroupRule,
        group_id=st.sampled_from(NAMES),
        name=st.just("g"),
        kind=st.sampled_from(["affinity", "anti_affinity"]),
        hard=st.booleans(),
    ),
    max_size=2,
    unique_by=lambda rule: rule.group_id,
).map(tuple)
pools = st.sampled_from(
    [(POOL,)] * 6
    + [(), (POOL, replace(POOL, name="fast")), (replace(POOL, near_full=True),), (replace(POOL, observed_at_s=1.0),)]
)
few = st.frozensets(st.sampled_from(NAMES), max_size=1)
modest = st.builds(
    replace,
    st.just(WANT),
    vcpus=st.integers(1, 4),
    memory_mib=st.integers(64, 1 << 12),
    project_id=st.none() | st.sampled_from(NAMES),
    rules=rules,
)
demanding = st.builds(
    replace,
    st.just(WANT),
    vcpus=st.integers(1, 16),
    memory_mib=st.integers(64, 1 << 14),
    pools=pools,
    virt_type=st.sampled_from([None, None, "qemu", "kvm"]),
    cpu_features=few,
    bridges=few,
    firmware=st.sampled_from([None, "bios", "uefi"]),
    local_disk_bytes=st.sampled_from([0, 0, 0, 1 << 30]),
    excluded_hosts=st.frozensets(st.sampled_from(["id0", "id1"]), max_size=1),
    only_host=st.sampled_from([None] * 6 + ["id1"]),
    host_groups=st.none() | subsets,
    project_id=st.none() | st.sampled_from(NAMES),
    rules=rules,
    moves=st.booleans(),
    keep_room=st.booleans(),
    now_s=st.sampled_from([NOW_S, NOW_S - 2, NOW_S + 1, NOW_S + 31]),
)
wants = st.one_of(modest, modest, demanding)
policies = (
    st.dictionaries(st.sampled_from(SCORERS), st.floats(0.01, 10), min_size=1)
    .map(lambda weights: Policy("some", weights))
)  # fmt: skip
