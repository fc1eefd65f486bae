"""Rules of placement groups and their contradictions. Pure: no database, no clock.

Affinity is transitive: two VMs that rules bind to a third one are bound to each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["affinity", "anti_affinity"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A hard rule and the ids of its VMs."""

    name: str
    kind: Kind
    vms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Contradiction of `apart` with the chain of rules `together`, for two VMs.

    `apart` keeps them on different hosts, `together` on one.
    """

    apart: Rule
    together: tuple[Rule, ...]
    vms: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Tie:
    """A rule from the view of one VM.

    `others`: host id → names of the rule's other VMs with capacity allocated there.
    """

    group_id: str
    name: str
    kind: Kind
    hard: bool
    others: Mapping[str, list[str]]


def label(rule: Rule | Tie) -> str:
    """Return the rule's kind and name for people."""
    return f"{'affinity' if rule.kind == 'affinity' else 'anti-affinity'} '{rule.name}'"


def contradiction(rules: Iterable[Rule]) -> Contradiction | None:
    """Return the first contradiction; None if the rules can be obeyed."""
    known = list(rules)
    pulls = [rule for rule in known if rule.kind == "affinity"]
    for apart in (rule for rule in known if rule.kind == "anti_affinity"):
        for vm in sorted(apart.vms):
            chains = _tied_to(vm, pulls)
            for other in sorted(chains.keys() & apart.vms - {vm}):
                return Contradiction(apart, chains[other], (vm, other))
    return None


def _tied_to(vm: str, pulls: list[Rule]) -> dict[str, tuple[Rule, ...]]:
    """Return the VMs that must be on the host of `vm`, each with its chain of rules.

    Every rule is followed once.
    """
    chains: dict[str, tuple[Rule, ...]] = {vm: ()}
    edge, left = [vm], list(pulls)
    for one in edge:
        for rule in [rule for rule in left if one in rule.vms]:
            left.remove(rule)
            new = sorted(rule.vms - chains.keys())
            chains |= dict.fromkeys(new, (*chains[one], rule))
            edge += new
    return chains


def clash(ties: Iterable[Tie], host_names: Mapping[str, str]) -> str | None:
    """Describe why no host at all can obey all hard rules now; None if one can."""
    hard = [tie for tie in ties if tie.hard and tie.others]
    pulls = [tie for tie in hard if tie.kind == "affinity"]
    pushes = [tie for tie in hard if tie.kind == "anti_affinity"]
    if not pulls:
        return None
    wanted = set(pulls[0].others).intersection(*(tie.others for tie in pulls))
    taken = [(tie, wanted & tie.others.keys()) for tie in pushes]
    if wanted.difference(*(hosts for _, hosts in taken)):
        return None
    sentences = [f"{label(tie)} requires {_named(tie.others, host_names)}" for tie in pulls]
    sentences += [f"{label(tie)} forbids {_named(hosts, host_names)}" for tie, hosts in taken if hosts]
    return ", ".join(sentences)


def on_the_way(ties: Iterable[Tie]) -> tuple[Tie, str] | None:
    """Return an affinity rule and a migrating VM of it; None if there is none.

    The host of that VM is not known before its migration ends.
    """
    for tie in ties:
        if tie.hard and tie.kind == "affinity":
            twice = [name for name, hosts in Counter(chain(*tie.others.values())).items() if hosts > 1]
            if twice:
                return tie, min(twice)
    return None


def broken(ties: Iterable[Tie], host_id: str, host_names: Mapping[str, str]) -> list[str]:
    """Describe the rules, hard and soft, that a VM on this host breaks now."""
    found = []
    for tie in ties:
        elsewhere = tie.others.keys() - {host_id}
        if tie.kind == "anti_affinity" and host_id in tie.others:
            found.append(f"{label(tie)}: {', '.join(tie.others[host_id])} on the same host")
        elif tie.kind == "affinity" and elsewhere:
            found.append(f"{label(tie)}: others are on {_named(elsewhere, host_names)}")
    return found


def _named(hosts: Iterable[str], names: Mapping[str, str]) -> str:
    return " or ".join(sorted(names.get(host, host) for host in hosts))
