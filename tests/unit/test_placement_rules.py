"""What rules ask for together: which cannot be had at all, which not as their VMs lie, and which are broken now."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from service.operations.placement.placement_rules import Rule, Tie, broken, clash, contradiction, label

HOSTS = {"h1": "host1", "h2": "host2", "h3": "host3"}


def rule(kind: str, name: str, *vms: str) -> Rule:
    return Rule(name, kind, frozenset(vms))


def tie(kind: str, name: str, others: dict[str, list[str]], *, hard: bool = True) -> Tie:
    return Tie(name, name, kind, hard, others)


def test_two_vms_that_are_kept_together_and_apart_contradict():
    found = contradiction([rule("affinity", "near", "a", "b"), rule("anti_affinity", "far", "a", "b", "c")])
    assert (label(found.apart), [label(one) for one in found.together]) == ("anti-affinity 'far'", ["affinity 'near'"])
    assert found.vms == ("a", "b")


def test_affinity_is_transitive_and_the_chain_is_told():
    chain = [rule("affinity", "one", "a", "b"), rule("affinity", "two", "b", "c"), rule("affinity", "other", "x", "y")]
    found = contradiction([*chain, rule("anti_affinity", "far", "a", "c")])
    assert [one.name for one in found.together] == ["one", "two"]


def test_rules_that_share_one_vm_go_together():
    assert contradiction([rule("affinity", "near", "a", "b"), rule("anti_affinity", "far", "b", "c")]) is None


VMS = st.frozensets(st.sampled_from("abcde"), max_size=4)
RULES = st.lists(
    st.builds(Rule, st.text("nm", max_size=2), st.sampled_from(["affinity", "anti_affinity"]), VMS), max_size=6
)


def _can_be_obeyed(rules: list[Rule]) -> bool:
    """Tried out: every way to lay five VMs on five hosts."""
    for layout in itertools.product(range(5), repeat=5):
        on = dict(zip("abcde", layout, strict=True))
        hosts = [(one.kind, [on[vm] for vm in one.vms]) for one in rules]
        if all(len(set(at)) <= 1 if kind == "affinity" else len(set(at)) == len(at) for kind, at in hosts):
            return True
    return False


@given(RULES)
def test_rules_contradict_exactly_when_no_layout_obeys_them(rules):
    found = contradiction(rules)
    assert (found is None) == _can_be_obeyed(rules)
    if found is not None:
        one, other = found.vms
        assert {one, other} <= found.apart.vms
        assert one in found.together[0].vms
        assert other in found.together[-1].vms


def test_affinity_to_a_host_that_anti_affinity_forbids_names_both_rules_and_the_host():
    why = clash([tie("affinity", "near", {"h1": ["a"]}), tie("anti_affinity", "far", {"h1": ["b"]})], HOSTS)
    assert why == "affinity 'near' requires host1, anti-affinity 'far' forbids host1"


def test_two_affinities_on_different_hosts_leave_no_host():
    why = clash([tie("affinity", "near", {"h1": ["a"]}), tie("affinity", "close", {"h2": ["b"]})], HOSTS)
    assert why == "affinity 'near' requires host1, affinity 'close' requires host2"


def test_a_host_that_one_rule_leaves_open_is_enough():
    ties = [tie("affinity", "near", {"h1": ["a"], "h2": ["c"]}), tie("anti_affinity", "far", {"h1": ["b"]})]
    assert clash(ties, HOSTS) is None


def test_soft_rules_and_rules_whose_vms_are_off_forbid_nothing():
    soft = tie("anti_affinity", "far", {"h1": ["b"]}, hard=False)
    assert clash([tie("affinity", "near", {"h1": ["a"]}), soft], HOSTS) is None
    assert clash([tie("affinity", "near", {}), tie("anti_affinity", "far", {"h1": ["b"]})], HOSTS) is None


def test_what_is_broken_now_is_told_with_the_vms_and_hosts():
    ties = [
        tie("anti_affinity", "far", {"h1": ["b", "c"]}),
        tie("affinity", "near", {"h2": ["d"], "h3": ["e"]}, hard=False),
    ]
    assert broken(ties, "h1", HOSTS) == [
        "anti-affinity 'far': b, c on the same host",
        "affinity 'near': others are on host2 or host3",
    ]


def test_a_rule_that_is_kept_is_not_told():
    ties = [
        tie("anti_affinity", "far", {"h2": ["b"]}),
        tie("affinity", "near", {"h1": ["d"]}),
        tie("affinity", "alone", {}),
    ]
    assert broken(ties, "h1", HOSTS) == []
