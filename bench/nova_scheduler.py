"""nova's filters and weighers over hosts in RAM, run by the peer's own Python: prints each decision's CPU time in ms.

Usage: nova_scheduler.py HOSTS DECISIONS. Nothing of nova is changed: its default filters, its weighers, its own claim.
"""

from __future__ import annotations

import datetime
import json
import random
import sys
import time
from typing import Any

import nova.conf
from nova import objects
from nova.scheduler import filters, host_manager, weights

CONF = nova.conf.CONF
GIB = 1024
FLAVORS = [(1 + number % 4, GIB * (1 + number % 5)) for number in range(20)]


def manager() -> Any:
    """The host manager as it is set up at the scheduler's start, without what it reads from its databases then."""
    made = host_manager.HostManager.__new__(host_manager.HostManager)
    made.filter_handler = filters.HostFilterHandler()
    classes = made.filter_handler.get_matching_classes(CONF.filter_scheduler.available_filters)
    made.filter_cls_map = {one.__name__: one for one in classes}
    made.filter_obj_map = {}
    made.enabled_filters = made._choose_host_filters(CONF.filter_scheduler.enabled_filters)
    made.weight_handler = weights.HostWeightHandler()
    found = made.weight_handler.get_matching_classes(CONF.filter_scheduler.weight_classes)
    made.weighers = [one() for one in found]
    return made


def host(number: int, chance: random.Random) -> Any:
    """One that is up and partly full."""
    state = host_manager.HostState(f"host{number:05d}", f"host{number:05d}", "cell")
    state.uuid = f"00000000-0000-4000-8000-{number:012d}"
    state.service = {"host": state.host, "binary": "nova-compute", "disabled": False, "created_at": None}
    state.service["last_seen_up"] = datetime.datetime.now(datetime.UTC)
    state.total_usable_ram_mb = 192 * GIB
    state.free_ram_mb = 192 * GIB - chance.randrange(100) * GIB
    state.vcpus_total, state.vcpus_used = 64, chance.randrange(40)
    state.total_usable_disk_gb, state.free_disk_mb = 1 << 20, 1 << 30
    state.ram_allocation_ratio = state.cpu_allocation_ratio = state.disk_allocation_ratio = 1.0
    state.hypervisor_type, state.hypervisor_version = "QEMU", 7002000
    state.supported_instances = [["x86_64", "kvm", "hvm"]]
    state.stats, state.metrics = {}, objects.MonitorMetricList(objects=[])
    return state


def spec(vcpus: int, memory_mb: int) -> Any:
    """A request for one server of a flavor."""
    flavor = objects.Flavor(vcpus=vcpus, memory_mb=memory_mb, root_gb=10, ephemeral_gb=0, swap=0, extra_specs={})
    return objects.RequestSpec(
        flavor=flavor, image=objects.ImageMeta(properties=objects.ImageMetaProps()), num_instances=1,
        project_id="p", user_id="u", force_hosts=None, force_nodes=None, ignore_hosts=None, retry=None,
        requested_destination=None, instance_group=None, numa_topology=None, availability_zone=None,
        pci_requests=objects.InstancePCIRequests(requests=[]), scheduler_hints={}, limits=None,
        requested_resources=[], instance_uuid="00000000-0000-4000-8000-000000000000",
    )  # fmt: skip


def main(hosts: int, decisions: int) -> None:
    """Filter, weigh, take the best and consume it, and one host's facts change: again and again."""
    objects.register_all()
    CONF([], default_config_files=[])
    chance, made = random.Random(1), manager()
    states = [host(number, chance) for number in range(hosts)]
    specs, took = [spec(*flavor) for flavor in FLAVORS], []
    for number in range(decisions):
        wanted, changed = specs[number % len(specs)], chance.choice(states)
        began = time.process_time()
        passed = list(made.get_filtered_hosts(states, wanted))
        best = made.get_weighed_hosts(passed, wanted)[0].obj
        best.consume_from_request(wanted)
        changed.free_ram_mb, changed.vcpus_used = 150 * GIB, 16
        took.append((time.process_time() - began) * 1000)
    told = {"filters": [one.__class__.__name__ for one in made.enabled_filters], "passed": len(passed)}
    print(json.dumps({**told, "weighers": len(made.weighers), "ms": took}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
