"""Which URLs are taken, and which addresses may lie behind them. What is refused has one stable code."""

from ipaddress import ip_address, ip_network

import pytest

from service.errors import InvalidError
from service.network.remote_url import Reach, parse
from tests.hostile_urls import HOSTILE

PORTS = (80, 443, 8080)

FINE = {
    "http://example.com": "http://example.com/",
    "HTTPS://Example.COM:443/a?b=c&d=%20": "https://example.com/a?b=c&d=%20",
    "http://example.com?x": "http://example.com/?x",
    "http://example.com:/": "http://example.com/",
    "http://example.com:8080/": "http://example.com:8080/",
    "http://a_b.example.com./x": "http://a_b.example.com./x",
    "https://xn--bcher-kva.example/": "https://xn--bcher-kva.example/",
    "http://9.9.9.9/": "http://9.9.9.9/",
    "http://[2620:fe::fe]:8080/": "http://[2620:fe::fe]:8080/",
    "http://[::ffff:9.9.9.9]/": "http://[::ffff:9.9.9.9]/",
    "http://[64:ff9b::9.9.9.9]/": "http://[64:ff9b::9.9.9.9]/",
}


def taken(text: str, reach: Reach) -> str:
    url = parse(text, PORTS)
    if url.address is not None:
        reach.check(url.host, url.address)
    return str(url)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:60])
def test_a_hostile_url_is_refused_with_its_code(text):
    with pytest.raises(InvalidError) as refused:
        taken(text, Reach())
    assert refused.value.code == HOSTILE[text]


@pytest.mark.parametrize("text", FINE)
def test_an_ordinary_url_is_taken_and_means_the_same(text):
    assert taken(text, Reach()) == FINE[text]


def test_a_network_that_is_allowed_may_be_reached_and_its_neighbour_not():
    reach = Reach(allowed=(ip_network("192.168.7.0/24"), ip_network("fd00:7::/64")))
    for text in ("192.168.7.9", "fd00:7::9", "::ffff:192.168.7.9"):
        reach.check("host", ip_address(text))
    for text in ("192.168.8.9", "fd00:8::9", "127.0.0.1"):
        with pytest.raises(InvalidError):
            reach.check("host", ip_address(text))


@pytest.mark.parametrize("text", ["9.9.9.9", "192.168.7.9", "::ffff:9.9.9.9", "64:ff9b::9.9.9.9"])
def test_the_clouds_own_networks_are_refused_whatever_is_allowed_and_however_written(text):
    reach = Reach(allowed=(ip_network("0.0.0.0/0"),), own=(ip_network("9.9.9.0/24"), ip_network("192.168.7.0/24")))
    with pytest.raises(InvalidError, match="belongs to this cloud") as refused:
        reach.check("host", ip_address(text))
    assert refused.value.code == "url.address"


def test_a_refusal_does_not_tell_which_address_a_name_has():
    with pytest.raises(InvalidError) as refused:
        Reach().check("secret.example.com", ip_address("10.11.12.13"))
    assert "10.11.12.13" not in refused.value.detail
