"""Which URLs are taken, and which addresses may lie behind them. What is refused has one stable code."""

from ipaddress import ip_address, ip_network

import pytest

from service.errors import InvalidError
from service.network.remote_url import Reach, parse

PORTS = (80, 443, 8080)

# 60 URLs that must not be fetched: by what they are, or by the address that they name themselves.
HOSTILE = {
    "": "url.invalid",
    "image.raw": "url.invalid",
    "//example.com/image": "url.invalid",
    "http:example.com": "url.invalid",
    "http:/example.com": "url.invalid",
    "http:///etc/passwd": "url.invalid",
    "http://exa mple.com/": "url.invalid",
    "http://example.com/\n": "url.invalid",
    "http://example.com/\r\nHost: other": "url.invalid",
    "http://example.com/\0": "url.invalid",
    "http://example.com\\@127.0.0.1/": "url.invalid",
    "http://ⓔxample.com/": "url.invalid",
    "http://１２７.0.0.1/": "url.invalid",
    "http://example.com/\u202eraw": "url.invalid",
    "http://example.com/#@127.0.0.1": "url.invalid",
    "http://127.1/": "url.invalid",
    "http://127.0.1/": "url.invalid",
    "http://2130706433/": "url.invalid",
    "http://0x7f000001/": "url.invalid",
    "http://0x7f.0.0.1/": "url.invalid",
    "http://0177.0.0.1/": "url.invalid",
    "http://127.0.0.01/": "url.invalid",
    "http://127.0.0.1./": "url.invalid",
    "http://127.0.0.1%00.example.com/": "url.invalid",
    "http://%31%32%37.0.0.1/": "url.invalid",
    "http://[127.0.0.1]/": "url.invalid",
    "http://::1/": "url.invalid",
    "http://[::1/": "url.invalid",
    "http://[::1]x/": "url.invalid",
    "http://[fe80::1%25eth0]/": "url.invalid",
    "http://a..b/": "url.invalid",
    "http://-a.com/": "url.invalid",
    "http://" + "a" * 64 + ".com/": "url.invalid",
    "http://" + "a." * 130 + "com/": "url.invalid",
    "http://example.com/" + "a" * 2048: "url.invalid",
    "http://example.com:80:80/": "url.invalid",
    "http://example.com:http/": "url.invalid",
    "http://example.com:-1/": "url.invalid",
    "http://example.com:0000080/": "url.invalid",
    "ftp://example.com/image": "url.scheme",
    "file:///etc/passwd": "url.scheme",
    "gopher://127.0.0.1:6379/_FLUSHALL": "url.scheme",
    "dict://127.0.0.1:11211/stats": "url.scheme",
    "unix:///run/docker.sock": "url.scheme",
    "http://user@example.com/": "url.credentials",
    "http://user:word@example.com/": "url.credentials",
    "http://example.com@127.0.0.1/": "url.credentials",
    "http://@example.com/": "url.credentials",
    "http://example.com:22/": "url.port",
    "http://example.com:0/": "url.port",
    "http://example.com:6379/": "url.port",
    "http://example.com:99999/": "url.port",
    "http://127.0.0.1/": "url.address",
    "http://127.255.255.254/": "url.address",
    "http://0.0.0.0/": "url.address",
    "http://10.0.0.1/": "url.address",
    "http://172.31.255.255/": "url.address",
    "http://192.168.0.1/": "url.address",
    "http://169.254.169.254/latest/meta-data": "url.address",
    "http://100.64.0.1/": "url.address",
    "http://192.0.0.8/": "url.address",
    "http://192.0.2.1/": "url.address",
    "http://192.88.99.1/": "url.address",
    "http://198.18.0.1/": "url.address",
    "http://224.0.0.1/": "url.address",
    "http://240.0.0.1/": "url.address",
    "http://255.255.255.255/": "url.address",
    "http://[::]/": "url.address",
    "http://[::1]/": "url.address",
    "http://[::7f00:1]/": "url.address",
    "http://[::ffff:127.0.0.1]/": "url.address",
    "http://[::ffff:a9fe:a9fe]/": "url.address",
    "http://[64:ff9b::10.0.0.1]/": "url.address",
    "http://[64:ff9b:1::1]/": "url.address",
    "http://[2002:7f00:1::]/": "url.address",
    "http://[2001:0:4136:e378::1]/": "url.address",
    "http://[fe80::1]/": "url.address",
    "http://[fec0::1]/": "url.address",
    "http://[fc00::1]/": "url.address",
    "http://[fd12:3456::1]/": "url.address",
    "http://[ff02::1]/": "url.address",
    "http://[2001:db8::1]/": "url.address",
    "http://[3fff::1]/": "url.address",
    "http://[100::1]/": "url.address",
}
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
