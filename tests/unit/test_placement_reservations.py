"""What a host's OSDs need comes off first; the inventory may say more, never less."""

import dataclasses
import math

import pytest

from service.placement.facts import HostStorage
from service.placement.reservations import ReservationRules, Reserved, for_osds, reserved

RULES = ReservationRules()
NOTHING = Reserved(0, 0)
TWO = HostStorage(osds=2, osds_up=2, pgs=64, osd_memory_mib=8192)


def test_osds_get_a_fifth_more_than_their_target_and_a_cpu_each():
    assert for_osds(TWO, RULES) == Reserved(2, 9831)


def test_they_get_more_while_they_recover_however_much_waits():
    one, many = (for_osds(dataclasses.replace(TWO, pgs_recovering=pgs), RULES) for pgs in (1, 64))
    assert one == many == Reserved(4, 12288)


def test_rules_for_recovery_never_take_away():
    rules = ReservationRules(vcpus=1.5, memory_factor=2.0, recovery_vcpus=0.5, recovery_memory_factor=1.0)
    assert for_osds(dataclasses.replace(TWO, pgs_recovering=1), rules) == for_osds(TWO, rules) == Reserved(3, 16384)


def test_the_larger_of_inventory_and_need_counts_each_by_itself():
    assert reserved(Reserved(1, 20000), TWO, RULES) == Reserved(2, 20000)
    assert reserved(Reserved(8, 0), TWO, RULES) == Reserved(8, 9831)


def test_a_host_without_osds_keeps_back_what_its_inventory_says():
    assert reserved(Reserved(1, 512), None, RULES) == Reserved(1, 512)
    assert reserved(NOTHING, HostStorage(), RULES) == NOTHING


def test_a_factor_of_nought_leaves_it_to_the_inventory():
    rules = ReservationRules(memory_factor=0, vcpus=0, recovery_memory_factor=0, recovery_vcpus=0)
    assert reserved(Reserved(1, 512), TWO, rules) == Reserved(1, 512)


def test_whole_numbers_are_not_rounded_up_further():
    assert for_osds(HostStorage(osds=3, osd_memory_mib=1000), RULES) == Reserved(3, 1200)


@pytest.mark.parametrize("value", [math.nan, math.inf, -5, "many", None, 1 << 50])
def test_nonsense_stops_nobody(value):
    broken = HostStorage(osds=value, osd_memory_mib=value, pgs_recovering=value)
    assert for_osds(broken, RULES) == NOTHING
