"""The one fact behind all others: the database, libvirt on every host and Ceph tell the same.

The contract suites work on the lab at the same time: what they make is known by its name or owner, and left alone.
"""

from __future__ import annotations

import re
from collections import Counter

from service.cli.client import Json
from tests.lab.cloud import Cloud
from tests.lab.patience import eventually
from tests.lab.whole_lab import GUEST_DISK

CONTRACT_OWNER = "<nacre:owner>contract</nacre:owner>"
OF_CONTRACT_SUITES = re.compile(r"t[0-9a-f]{8}\b.*|contract-[0-9a-f-]{36}|nacre-check.*")
AGREE_S = 90
OVERHEAD_MIB = 64  # QEMU's own memory, which the placement counts for every VM
ON_A_HOST = ("running", "paused")
# Foreign volumes and images that a test has failed for: a leak is told once, by the test that made it.
_told: set[str] = set()


def assert_agree(cloud: Cloud) -> None:
    """Once no job is at work, the service's VMs, `virsh list --all` on each host, `rbd ls` and allocations agree."""
    last: list[str] = []

    def look() -> bool:
        last[:] = _differences(cloud)
        return not last

    try:
        eventually("all agree", look, within_s=AGREE_S)
    except AssertionError as error:
        _told.update(foreign(cloud, "vms") | foreign(cloud, "images"))
        raise AssertionError("\n".join(last)) from error


def domains(cloud: Cloud) -> Counter[tuple[str, str]]:
    """(host, VM id) of every domain, as `virsh list --all` on each host tells."""
    found: Counter[tuple[str, str]] = Counter()
    for machine in cloud.lab.machines:
        listed = machine.run(["virsh", "--quiet", "list", "--all", "--uuid"])
        found.update((machine.spec.name, line) for line in listed.split())
    return found


def hosts_of(cloud: Cloud, vm: Json) -> list[str]:
    """Hosts that have a domain of the VM, by virsh."""
    return sorted(host for host, vm_id in domains(cloud).elements() if vm_id == vm["id"])


def _differences(cloud: Cloud) -> list[str]:
    busy = cloud.unfinished()
    if busy:
        return [f"jobs at work: {', '.join(busy)}"]
    vms = [cloud.vm(vm["name"]) for vm in cloud.client.items("/v1/vms")]
    return [
        *_states(vms),
        *_domains(cloud, vms),
        *_devices(cloud, "vms"),
        *_devices(cloud, "images"),
        *_allocations(cloud, vms),
    ]


def _states(vms: list[Json]) -> list[str]:
    return [
        f"VM {vm['name']} should be {vm['desired_state']} and is {vm['observed_state']}"
        for vm in vms
        if vm["desired_state"] != vm["observed_state"]
    ]


def _domains(cloud: Cloud, vms: list[Json]) -> list[str]:
    wanted = Counter((vm["host"], vm["id"]) for vm in vms if vm["observed_state"] in ON_A_HOST)
    found = domains(cloud)
    missing, extra = wanted - found, [each for each in found - wanted if not _is_of_contract_suite(cloud, *each)]
    return [f"domains: missing {sorted(missing)}, foreign {sorted(extra)}"] if missing or extra else []


def _is_of_contract_suite(cloud: Cloud, host: str, vm_id: str) -> bool:
    """Whether the domain is one that it made, or is gone by now."""
    done = cloud.lab.machine(host).attempt(["virsh", "dumpxml", vm_id])
    return done.returncode != 0 or CONTRACT_OWNER in done.stdout


def foreign(cloud: Cloud, pool: str) -> set[str]:
    """Devices in the pool "vms" or "images" that neither the service nor the contract suites know."""
    unknown = _found(cloud, pool) - _wanted(cloud, pool) - {GUEST_DISK.name}
    return {name for name in unknown if not OF_CONTRACT_SUITES.fullmatch(name)}


def _devices(cloud: Cloud, pool: str) -> list[str]:
    missing, extra = _wanted(cloud, pool) - _found(cloud, pool), foreign(cloud, pool) - _told
    return [f"pool {pool}: missing {sorted(missing)}, foreign {sorted(extra)}"] if missing or extra else []


def _found(cloud: Cloud, pool: str) -> set[str]:
    return {ref.name for ref in cloud.lab.storage.volumes(pool)}


def _wanted(cloud: Cloud, pool: str) -> set[str]:
    if pool == "images":
        return {f"image-{image['id']}" for image in cloud.client.items("/v1/images")}
    vms = [cloud.vm(vm["name"]) for vm in cloud.client.items("/v1/vms")]
    kept = {f"volume-{volume['id']}" for volume in cloud.client.items("/v1/volumes")}
    return {volume["storage_name"] for vm in vms for volume in vm["volumes"]} | kept


def _allocations(cloud: Cloud, vms: list[Json]) -> list[str]:
    wrong = []
    for host in cloud.client.items("/v1/hosts"):
        mine = [vm for vm in vms if vm["host"] == host["name"]]
        memory_mib = sum(vm["memory_mib"] + OVERHEAD_MIB for vm in mine)
        wanted = {"vcpus": sum(vm["vcpus"] for vm in mine), "memory_mib": memory_mib, "vms": len(mine)}
        if host["allocated"] != wanted:
            wrong.append(f"{host['name']} has promised {host['allocated']}, its VMs need {wanted}")
    return wrong


def assert_nothing_left(cloud: Cloud, vm: Json) -> None:
    """A VM that was deleted is in no list, on no host and has no volume."""
    assert cloud.find(vm["name"]) is None
    assert hosts_of(cloud, vm) == []
    names = {ref.name for ref in cloud.lab.storage.volumes("vms")}
    assert not [name for name in names if vm["id"] in name]
    assert_agree(cloud)
