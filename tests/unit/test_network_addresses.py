"""Addresses and MACs: free ones, inside the range, never twice."""

import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from service.network.addresses import AddressPool, new_mac

POOL = AddressPool(IPv4Network("10.0.0.0/24"), IPv4Address("10.0.0.10"), IPv4Address("10.0.0.19"))
addresses = st.integers(5, 25).map(lambda last: IPv4Address(f"10.0.0.{last}"))


@given(st.sets(addresses))
def test_the_lowest_free_address_is_free_and_none_below_it_is(taken):
    found = POOL.lowest_free(taken)
    inside = [IPv4Address(f"10.0.0.{last}") for last in range(10, 20)]
    assert found == next((address for address in inside if address not in taken), None)


def test_both_ends_are_given_out_and_then_nothing():
    taken: list[IPv4Address] = []
    while (address := POOL.lowest_free(taken)) is not None:
        taken.append(address)
    assert (taken[0], taken[-1], len(taken)) == (POOL.first, POOL.last, 10)


def test_a_pool_of_one_address_has_one():
    one = AddressPool(POOL.network, POOL.first, POOL.first)
    assert one.lowest_free([]) == POOL.first
    assert one.lowest_free([POOL.first]) is None


def test_the_largest_pool_is_not_walked_to_its_end():
    vast = AddressPool(IPv4Network("0.0.0.0/0"), IPv4Address("0.0.0.1"), IPv4Address("255.255.255.254"))
    assert vast.lowest_free({IPv4Address("0.0.0.1")}) == IPv4Address("0.0.0.2")


def test_an_interface_has_the_networks_prefix():
    assert POOL.interface(IPv4Address("10.0.0.12")) == IPv4Interface("10.0.0.12/24")


@given(st.integers())
def test_a_mac_is_unicast_and_locally_administered(seed):
    mac = new_mac(Random(seed), ())
    assert re.fullmatch(r"52:54:00(:[0-9a-f]{2}){3}", mac)
    assert int(mac[:2], 16) & 0b11 == 0b10


def test_a_taken_mac_is_drawn_again():
    first = new_mac(Random(7), ())
    second = new_mac(Random(7), {first})
    assert second != first
