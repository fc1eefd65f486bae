"""A table in memory that is always what the database says: after claims, after roll-backs, beside other processes."""

from contextlib import suppress
from pathlib import Path

import pytest

from service.db import allocations, change_counter
from service.db.engine.database import transaction
from service.db.engine.errors import DatabaseUnavailableError
from service.db.tables import Host, HostGroup, HostGroupMember, Vm
from service.errors import ConflictError, GoneError
from service.placement.policy import STORAGE_CPU
from service.placer import facts_journal
from service.placer.facts_journal import hosts_at, policy_of, purge
from tests.worlds.placer import NOW, NOW_S, GivenUpError, PlacerWorld, give_up, host_row


@pytest.fixture
def placer_world(tmp_path, new_database):
    return PlacerWorld(new_database("cloud"), tmp_path)


def test_what_was_claimed_is_in_the_table_as_the_database_has_it(placer_world):
    for number in range(4):
        with transaction(placer_world.db):
            placer_world.claim(f"vm{number}")
        assert placer_world.placer.table.hosts() == placer_world.truth()
    assert sum(host.vm_count for host in placer_world.synced()) == 4
    assert placer_world.synced() == placer_world.truth()


def test_a_claim_by_another_process_is_seen_by_the_next_decision(placer_world):
    other = placer_world.another("other")
    for number in range(6):
        with transaction(placer_world.db):
            placer_world.claim(f"vm{number}", other if number % 2 else None)
    assert placer_world.synced() == placer_world.synced(other) == placer_world.truth()


def test_a_claim_that_is_rolled_back_is_forgotten(placer_world):
    placer_world.synced()
    with placer_world.rolled_back():
        taken = placer_world.claim("vm0")
        assert placer_world.placer.table.facts(taken).vm_count == 1
    assert placer_world.synced() == placer_world.truth()
    assert all(host.vm_count == 0 for host in placer_world.synced())


def test_a_number_that_was_rolled_back_and_used_again_hides_no_change(placer_world):
    """The table saw number N for one host in a transaction that failed; then N is of another host."""
    placer_world.synced()
    with placer_world.rolled_back():
        taken = placer_world.claim("vm0")
    with transaction(placer_world.db):
        number = change_counter.next_number()
        other = next(name for name in ("host0", "host1") if name != taken)
        Host.update(changed=number, state="cordoned").where(Host.id == other).execute()
    assert placer_world.synced() == placer_world.truth()


def test_a_number_without_a_host_that_was_rolled_back_hides_no_change(placer_world):
    placer_world.synced()
    with placer_world.rolled_back():
        change_counter.touch([])
        with placer_world.placer:
            placer_world.placer.sync(NOW_S)
    with transaction(placer_world.db):
        Host.update(state="cordoned").execute()
        change_counter.touch(["host0", "host1"])
    assert {host.state for host in placer_world.synced()} == {"cordoned"}


def test_decisions_of_one_transaction_see_each_other(placer_world):
    with transaction(placer_world.db):
        hosts = [placer_world.claim(f"vm{number}", vcpus=5) for number in range(2)]
        assert set(hosts) == {"host0", "host1"}, "5 of 8 vCPUs: the second has no room beside the first"
    assert placer_world.synced() == placer_world.truth()


def test_what_the_same_transaction_gave_back_may_be_claimed_again(placer_world):
    with transaction(placer_world.db):
        placer_world.claim("vm0", vcpus=8, only_host="host0")
    with transaction(placer_world.db):
        allocations.release("vm0")
        placer_world.claim("vm1", vcpus=8, only_host="host0")
    assert placer_world.synced() == placer_world.truth()


def test_a_part_that_is_rolled_back_is_doubted_when_the_placer_is_told(placer_world):
    placer_world.synced()
    with transaction(placer_world.db):
        with suppress(GivenUpError), placer_world.db.savepoint():
            placer_world.claim("vm0")
            give_up()
        placer_world.placer.doubt()
        placer_world.claim("vm1")
    assert placer_world.synced() == placer_world.truth()
    assert sum(host.vm_count for host in placer_world.truth()) == 1


def test_a_move_counts_on_both_ends_until_it_is_over(placer_world):
    with transaction(placer_world.db):
        source = placer_world.claim("vm0")
        Vm.update(host=source).where(Vm.id == "vm0").execute()
    with transaction(placer_world.db):
        target = placer_world.claim("vm0", excluded_hosts=frozenset({source}), moves=True)
    assert [host.migrations for host in placer_world.synced()] == [1, 1]
    with transaction(placer_world.db):
        allocations.release_elsewhere("vm0", target)
    assert [host.migrations for host in placer_world.synced()] == [0, 0]
    assert placer_world.synced() == placer_world.truth()


def test_new_and_removed_hosts_are_noticed(placer_world):
    placer_world.synced()
    with transaction(placer_world.db):
        Host.create(**host_row(7))
        change_counter.touch(["host7"])
    assert [host.name for host in placer_world.synced()] == ["host0", "host1", "host7"]
    with transaction(placer_world.db):
        Host.delete().where(Host.id == "host0").execute()
        change_counter.note_removed()
    assert [host.name for host in placer_world.synced()] == ["host1", "host7"]
    with placer_world.rolled_back():
        Host.create(**host_row(8))
        change_counter.touch(["host8"])
        with placer_world.placer:
            placer_world.placer.sync(NOW_S)
    assert placer_world.synced() == placer_world.truth()


def test_a_host_group_and_its_ratio_are_part_of_the_facts(placer_world):
    with transaction(placer_world.db):
        group = HostGroup.create(id="g", created_at=NOW, name="dense", vcpu_ratio_milli=4000)
        HostGroupMember.insert(group=group, host="host1").execute()
        change_counter.touch_group("g")
    plain, dense = placer_world.synced()
    assert (plain.vcpu_ratio, dense.vcpu_ratio) == (1.0, 4.0)
    assert dense.host_groups == {"g"}
    assert dense.free_vcpus == 32


def test_an_age_moves_without_a_change_that_is_numbered(placer_world):
    placer_world.synced()
    later = NOW.replace(minute=5)
    with transaction(placer_world.db):
        Host.update(observed_at=later).where(Host.id == "host1").execute()
    with transaction(placer_world.db), placer_world.placer:
        placer_world.placer.sync(NOW_S + 60)
    assert [host.observed_at_s for host in placer_world.placer.table.hosts()] == [NOW_S, later.timestamp()]
    assert placer_world.placer.table.hosts() == placer_world.truth()


def test_what_is_claimed_beyond_the_room_is_refused_even_if_the_table_were_wrong(placer_world):
    with transaction(placer_world.db):
        placer_world.claim("vm0", only_host="host0")
        host = Host.get_by_id("host0")
        room = allocations.Room(host.id, host.name, host.generation, usable_vcpus=1, usable_memory_mib=host.memory_mib)
        with pytest.raises(ConflictError) as raced:
            allocations.claim(allocation_id="x", vm=Vm.get_by_id("vm1"), room=room, vcpus=1, memory_mib=1, now=NOW)
        assert raced.value.code == "placement.raced"


def test_every_state_of_the_table_is_found_again_in_the_journal(placer_world):
    states = {}
    journal = placer_world.placer.journal
    for number in range(8):
        with transaction(placer_world.db):
            if number % 3 == 2:
                Host.update(observed_at=NOW.replace(second=number), facts={"cpu_load": number / 10}).execute()
                change_counter.touch(["host0"])
            placer_world.claim(f"vm{number}")
        states[journal.number] = placer_world.placer.table.hosts()
        if number in (2, 5):
            journal.flush(NOW_S)
    journal.flush(NOW_S)
    assert len(states) == 8
    for number, hosts in states.items():
        assert hosts_at(placer_world.journals, "first", number) == hosts


def test_facts_that_are_no_longer_kept_are_said_to_be_gone(placer_world):
    with transaction(placer_world.db):
        placer_world.claim("vm0")
    with pytest.raises(GoneError) as gone:
        hosts_at(placer_world.journals_ready(), "first", placer_world.placer.journal.number)
    assert gone.value.code == "placement.facts_gone"
    placer_world.placer.journal.flush(NOW_S)
    number = placer_world.placer.journal.number
    assert hosts_at(placer_world.journals, "first", number) == placer_world.truth()
    for journal, asked in (("first", number + 1), ("other", 1)):
        with pytest.raises(GoneError):
            hosts_at(placer_world.journals, journal, asked)
    purge(placer_world.journals, NOW.replace(year=2031), keep_bytes=1 << 30)
    with pytest.raises(GoneError):
        hosts_at(placer_world.journals, "first", number)


def test_the_journal_is_no_larger_than_it_may_be(placer_world):
    for number in range(8):
        with transaction(placer_world.db):
            placer_world.claim(f"vm{number}")
        placer_world.placer.journal.flush(NOW_S + number)
    last = placer_world.placer.journal.number
    placer_world.placer.journal.note_all(placer_world.truth(), NOW_S)
    placer_world.placer.journal.flush(NOW_S + 9)
    purge(placer_world.journals, NOW, keep_bytes=600)
    assert hosts_at(placer_world.journals, "first", last + 1) == placer_world.truth()
    with pytest.raises(GoneError):
        hosts_at(placer_world.journals, "first", last)


def broken(world) -> None:
    world.journals.close_kept()
    Path(world.journals.database).write_bytes(b"no database" * 1000)


def test_a_journal_that_cannot_be_written_keeps_nobody_from_deciding(placer_world, monkeypatch):
    monkeypatch.setattr(facts_journal, "MOST_WAITING", 1)
    monkeypatch.setattr(facts_journal, "TIMES_ALL", 1)
    broken(placer_world)
    for number in range(8):
        with transaction(placer_world.db):
            placer_world.claim(f"vm{number}")
    with pytest.raises(DatabaseUnavailableError):
        placer_world.placer.journal.flush(NOW_S)
    assert placer_world.placer.table.hosts() == placer_world.truth()


def test_a_journal_that_could_not_be_written_begins_anew(placer_world):
    broken(placer_world)
    with transaction(placer_world.db):
        placer_world.claim("vm0")
    with pytest.raises(DatabaseUnavailableError):
        placer_world.placer.journal.flush(NOW_S)
    lost = placer_world.placer.journal.number
    Path(placer_world.journals.database).unlink()
    with transaction(placer_world.db):
        placer_world.claim("vm1")
    placer_world.placer.journal.flush(NOW_S)
    assert hosts_at(placer_world.journals, "first", placer_world.placer.journal.number) == placer_world.truth()
    assert policy_of(placer_world.journals, STORAGE_CPU.hash)["algorithm"] == "storage_cpu"
    with pytest.raises(GoneError):
        hosts_at(placer_world.journals, "first", lost)
