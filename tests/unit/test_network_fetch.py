"""Fetching from a URL that somebody named: over a real connection to where it was checked, and nowhere else."""

import ssl
import subprocess
import time
from ipaddress import ip_address, ip_network

import pytest

from service.errors import InvalidError
from service.network.fetch import Fetcher
from service.network.outside import Internet
from service.network.remote_url import Reach
from tests.outside import Outside, moved, ok

PUBLIC, OTHER = "9.9.9.9", "2620:fe::fe"
DATA = b"image" * 100_000


@pytest.fixture
def outside() -> Outside:
    made = Outside()
    made.add("example.com", (PUBLIC,))
    made.add("other.example.com", (OTHER,))
    return made


def fetcher(outside, **more) -> Fetcher:
    values = {"reach": Reach(), "ports": (80, 443), "max_bytes": 1 << 20, "timeout_s": 60.0, **more}
    return Fetcher(outside=outside, monotonic=time.monotonic, **values)


def fetched(outside, url="http://example.com/image", **more) -> bytes:
    with fetcher(outside, **more).open(url) as file:
        return b"".join(file.chunks())


def refused(outside, code, url="http://example.com/image", **more) -> str:
    with pytest.raises(InvalidError) as caught:
        fetched(outside, url, **more)
    assert caught.value.code == code
    return caught.value.detail


def test_a_file_comes_whole_and_the_server_hears_its_own_name_and_nothing_of_us(outside):
    heads = []
    with outside.server(PUBLIC, lambda head: (heads.append(head), ok(DATA))[1]):
        assert fetched(outside, "http://example.com/image?a=b") == DATA
    assert heads[0].startswith(b"GET /image?a=b HTTP/1.1\r\nHost: example.com\r\n")
    assert b"Authorization" not in heads[0]
    assert b"Cookie" not in heads[0]


def test_no_proxy_and_no_password_file_of_the_environment_is_used(outside, monkeypatch, tmp_path):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    (tmp_path / ".netrc").write_text("machine example.com login a password b")
    monkeypatch.setenv("HOME", str(tmp_path))
    with outside.server(PUBLIC, lambda head: ok(head)):
        assert b"Authorization" not in fetched(outside)
    assert outside.reached == [(PUBLIC, 80)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_to_another_host_and_by_a_relative_path(outside, status):
    answers = iter([moved("/there", status), moved("http://other.example.com/image", status)])
    with (
        outside.server(PUBLIC, lambda head: next(answers)),
        outside.server(OTHER, lambda head: ok(DATA)),
    ):
        assert fetched(outside) == DATA
    assert outside.reached == [(PUBLIC, 80), (PUBLIC, 80), (OTHER, 80)]


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("http://127.0.0.1/", "url.address"),
        ("http://169.254.169.254/latest/meta-data", "url.address"),
        ("http://[::ffff:10.0.0.1]/", "url.address"),
        ("http://inside.example.com/", "url.address"),
        ("http://2130706433/", "url.invalid"),
        ("http://user:word@other.example.com/", "url.credentials"),
        ("http://other.example.com:22/", "url.port"),
        ("file:///etc/passwd", "url.scheme"),
        ("//127.0.0.1/", "url.address"),
    ],
)
def test_where_a_redirect_leads_is_checked_like_the_first_url(outside, where, code):
    outside.add("inside.example.com", ("10.1.2.3",))
    with outside.server(PUBLIC, lambda head: moved(where)):
        refused(outside, code)
    assert outside.reached == [(PUBLIC, 80)]


def test_a_redirect_in_a_circle_ends(outside):
    with outside.server(PUBLIC, lambda head: moved("/image")):
        refused(outside, "url.redirects")
    assert len(outside.reached) == 6


def test_a_name_with_one_inner_address_among_public_ones_is_refused_unconnected(outside):
    outside.add("example.com", (PUBLIC, "192.168.0.1"))
    refused(outside, "url.address")
    assert outside.reached == []


def test_a_name_that_means_something_else_the_second_time_is_asked_once(outside):
    outside.add("example.com", (PUBLIC,), ("127.0.0.1",))
    with outside.server(PUBLIC, lambda head: ok(DATA)):
        assert fetched(outside) == DATA
    assert (outside.asked, outside.reached) == (["example.com"], [(PUBLIC, 80)])


def test_a_name_that_changes_between_two_hops_is_checked_at_each(outside):
    outside.add("example.com", (PUBLIC,), ("127.0.0.1",))
    with outside.server(PUBLIC, lambda head: moved("/again")):
        refused(outside, "url.address")


def test_an_address_of_this_computer_is_refused_even_when_it_is_public(outside):
    outside.own.add(PUBLIC)
    refused(outside, "url.address")
    assert outside.reached == []


def test_the_real_internet_knows_which_addresses_are_its_own():
    real = Internet()
    assert real.is_own(ip_address("127.0.0.1"))
    assert not real.is_own(ip_address(PUBLIC))
    assert ip_address("127.0.0.1") in real.resolve("localhost")


def test_an_allowed_network_is_reached(outside):
    outside.add("mirror.lan", ("192.168.7.7",))
    with outside.server("192.168.7.7", lambda head: ok(DATA)):
        refused(outside, "url.address", "http://mirror.lan/image")
        assert fetched(outside, "http://mirror.lan/image", reach=Reach(allowed=(ip_network("192.168.7.0/24"),))) == DATA


def test_the_next_address_is_tried_when_one_does_not_answer(outside):
    outside.add("example.com", (OTHER, PUBLIC))
    with outside.server(PUBLIC, lambda head: ok(DATA)):
        assert fetched(outside) == DATA


def test_a_name_without_an_address_and_a_host_that_is_not_there_are_told(outside):
    refused(outside, "url.not_resolved", "http://nobody.example.com/")
    refused(outside, "url.unreachable")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        ok(b"x", "Content-Encoding: gzip"),
        ok(DATA)[:-1],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
        b"",
    ],
    ids=["missing", "a part", "locked", "encoded", "cut short", "no web server", "endless headers", "nothing"],
)
def test_an_answer_that_is_no_file_is_refused(outside, answer):
    with outside.server(PUBLIC, lambda head: answer):
        refused(outside, "url.bad_answer")


def test_a_file_that_is_too_large_is_refused_by_what_is_announced_and_by_what_comes(outside):
    with outside.server(PUBLIC, lambda head: b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n"):
        refused(outside, "url.too_large")
    with outside.server(PUBLIC, lambda head: b"HTTP/1.1 200 OK\r\n\r\n" + bytes(2 << 20)):
        refused(outside, "url.too_large")


def test_a_server_that_drips_for_ever_is_left_at_the_deadline(outside):
    def drip(head: bytes) -> bytes:
        time.sleep(0.4)
        return moved("/image")

    with outside.server(PUBLIC, drip):  # without a deadline another code ends it: too many hops
        refused(outside, "url.too_slow", timeout_s=0.6)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for example.com that no authority signed but itself."""
    folder = tmp_path_factory.mktemp("tls")
    line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=example.com"
    line += " -addext subjectAltName=DNS:example.com -keyout key.pem -out cert.pem"
    subprocess.run(line.split(), check=True, cwd=folder, capture_output=True)
    return folder


@pytest.fixture
def over_tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return lambda connection: context.wrap_socket(connection, server_side=True)


def test_https_wants_a_certificate_of_the_name_in_the_url(outside, over_tls, certificate, monkeypatch):
    with outside.server(PUBLIC, lambda head: ok(DATA), over_tls):
        refused(outside, "url.unreachable", "https://example.com/")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
        assert fetched(outside, "https://example.com/") == DATA
        outside.add("other.example.com", (PUBLIC,))
        refused(outside, "url.unreachable", "https://other.example.com/")


def test_a_redirect_from_https_to_http_is_refused(outside, over_tls, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    with outside.server(PUBLIC, lambda head: moved("http://example.com/"), over_tls):
        refused(outside, "url.downgrade", "https://example.com/")
    assert outside.reached == [(PUBLIC, 443)]
