"""Domains that the database does not place on their host: ours gone astray, which endanger disks, and foreign ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from service.db.tables import Host, Vm
from service.hypervisor.contract import DomainState
from service.json_types import JsonObject

OWN_TRIALS = ("nacre-probe-", "nacre-preflight-")  # guests of a look at the host itself


def strays(
    host: Host, domains: Iterable[DomainState], known: Mapping[str, Vm], busy: frozenset[str]
) -> list[JsonObject]:
    """Domains that bear Nacre's mark and should not be here, each with why; those that a job is at work on apart.

    `known`: the VMs of these domains, by id, as far as there are any.
    """
    found = []
    for domain in domains:
        if domain.epoch is not None and domain.vm_id not in busy:
            why = _astray(host, domain, known.get(domain.vm_id))
            if why is not None:
                found.append({"vm_id": domain.vm_id, "name": domain.name, "state": domain.state, "why": why})
    return found


def foreign(domains: Iterable[DomainState]) -> list[JsonObject]:
    """Domains that Nacre did not make: what `nacre vm adopt` may take over."""
    return [
        {
            "vm_id": domain.vm_id,
            "name": domain.name,
            "state": domain.state,
            "vcpus": domain.vcpus,
            "memory_mib": domain.memory_mib,
        }
        for domain in domains
        if domain.epoch is None and not domain.name.startswith(OWN_TRIALS)
    ]


def _astray(host: Host, domain: DomainState, vm: Vm | None) -> str | None:
    if vm is None:
        return "no VM of this id is known"
    if vm.host_id == host.id:
        return None if vm.epoch == domain.epoch else _of_another_epoch(vm, domain)
    if vm.host is None:  # read only now: it costs a query
        return f"VM '{vm.name}' should run nowhere"
    return f"VM '{vm.name}' belongs on host {vm.host.name}"


def _of_another_epoch(vm: Vm, domain: DomainState) -> str:
    return f"VM '{vm.name}' is in epoch {vm.epoch}, this is epoch {domain.epoch}"
