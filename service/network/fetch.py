"""Download from a user's URL, protected against server-side request forgery.

The name of every hop is resolved once, all of its addresses are checked, and the connection is made to a checked
address itself, so that a later answer of the resolver does not matter. Nothing from the environment (proxies, netrc)
is used.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urljoin

import httpcore

from service.errors import InvalidError
from service.network.outside import Outside
from service.network.remote_url import Address, Reach, RemoteUrl, parse

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 5
MOST_ADDRESSES = 4  # of one name are tried
CONNECT_S = 10.0
SILENCE_S = 30.0
HEADERS = (("User-Agent", "nacre"), ("Accept", "*/*"), ("Accept-Encoding", "identity"), ("Connection", "close"))


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Downloader with its limits. `timeout_s` is for a whole download."""

    outside: Outside
    reach: Reach
    ports: Collection[int]
    max_bytes: int
    timeout_s: float
    monotonic: Callable[[], float]

    @contextmanager
    def open(self, text: str) -> Iterator[RemoteFile]:
        """Open the file of a URL, following redirects.

        Raises InvalidError with a `url.*` code: invalid, scheme, credentials, port, address, not_resolved, unreachable,
        bad_answer, too_slow, too_large, redirects, downgrade.
        """
        deadline = self.monotonic() + self.timeout_s
        url, hops = parse(text, self.ports), 0
        with _translated(url):
            while True:
                with self._answer(url, deadline) as answer:
                    if answer.status not in REDIRECTS:
                        yield self._file(url, answer)
                        return
                    url, hops = self._next(url, answer), hops + 1
                if hops > MOST_REDIRECTS:
                    raise InvalidError(f"Over {MOST_REDIRECTS} redirects: give the last URL.", code="url.redirects")

    def check(self, url: RemoteUrl) -> tuple[Address, ...]:
        """Return the addresses to try, all of them allowed.

        Raises InvalidError (`url.address`, `url.not_resolved`).
        """
        for address in (addresses := self._addresses(url)):
            self.reach.check(url.host, address)
            if self.outside.is_own(address):
                detail = f"{url.host} leads to this service's own computer: name another host."
                raise InvalidError(detail, code="url.address")
        return addresses

    def _addresses(self, url: RemoteUrl) -> tuple[Address, ...]:
        if url.address is not None:
            return (url.address,)
        try:
            return self.outside.resolve(url.host)
        except OSError as failure:
            raise InvalidError(f"The name {url.host} has no address.", code="url.not_resolved") from failure

    @contextmanager
    def _answer(self, url: RemoteUrl, deadline: float) -> Iterator[httpcore.Response]:
        dialler = _Dialler(self, url, self.check(url), deadline)
        headers = [("Host", url.authority), *HEADERS]
        timeouts = {"connect": CONNECT_S, "read": SILENCE_S, "write": SILENCE_S, "pool": CONNECT_S}
        context = ssl.create_default_context()
        with (
            httpcore.ConnectionPool(network_backend=dialler, ssl_context=context) as pool,
            pool.stream("GET", str(url), headers=headers, extensions={"timeout": timeouts}) as answer,
        ):
            yield answer

    def _next(self, url: RemoteUrl, answer: httpcore.Response) -> RemoteUrl:
        following = parse(urljoin(str(url), _header(answer, b"location")), self.ports)
        if url.scheme == "https" and following.scheme == "http":
            raise InvalidError(f"{url.host} leads from https to http: give an https URL.", code="url.downgrade")
        return following

    def _file(self, url: RemoteUrl, answer: httpcore.Response) -> RemoteFile:
        if answer.status != 200:
            raise InvalidError(f"{url.host} answers {answer.status}: check the URL.", code="url.bad_answer")
        if _header(answer, b"content-encoding") not in ("", "identity"):
            raise InvalidError(f"{url.host} sends encoded content: give the file's own URL.", code="url.bad_answer")
        length = _header(answer, b"content-length")
        file = RemoteFile(answer, int(length) if length.isdigit() else None, self.max_bytes)
        file.check(file.size_bytes or 0)
        return file


class RemoteFile:
    """A file being downloaded. `size_bytes` is None when the server does not state it."""

    def __init__(self, answer: httpcore.Response, size_bytes: int | None, max_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._answer = answer
        self._max_bytes = max_bytes

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes. Raises InvalidError (`url.too_large`).

        Other errors are raised by the context of Fetcher.open().
        """
        received = 0
        for chunk in self._answer.iter_stream():
            received += len(chunk)
            self.check(received)
            yield chunk

    def check(self, size_bytes: int) -> None:
        """Check the size against the limit. Raises InvalidError."""
        if size_bytes > self._max_bytes:
            raise InvalidError(f"The file has more than the allowed {self._max_bytes} bytes.", code="url.too_large")


@contextmanager
def _translated(url: RemoteUrl) -> Iterator[None]:
    """Translate errors of the connection."""
    try:
        yield
    except httpcore.TimeoutException as failure:
        detail = f"{url.host} took too long: retry, or upload the file."
        raise InvalidError(detail, code="url.too_slow") from failure
    except (httpcore.ProtocolError, httpcore.UnsupportedProtocol) as failure:
        detail = f"{url.host} does not respond in HTTP, or ended early: check the URL."
        raise InvalidError(detail, code="url.bad_answer") from failure
    except httpcore.NetworkError as failure:
        raise InvalidError(f"{url.host} is unreachable, or broke the connection.", code="url.unreachable") from failure


class _Dialler(httpcore.NetworkBackend):
    """Network backend that connects to a checked address instead of resolving again."""

    def __init__(self, fetcher: Fetcher, url: RemoteUrl, addresses: tuple[Address, ...], deadline: float) -> None:
        self._fetcher = fetcher
        self._url = url
        self._addresses = addresses
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: object = None,
    ) -> httpcore.NetworkStream:
        """See httpcore.NetworkBackend; the name is not resolved again."""
        del host, timeout, local_address, socket_options
        failure: Exception = httpcore.ConnectError(f"{self._url.host} has no address")
        for address in self._addresses[:MOST_ADDRESSES]:
            try:
                stream = self._fetcher.outside.connect(address, port, CONNECT_S)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            return _DeadlineStream(stream, self._fetcher.monotonic, self._deadline)
        raise failure


class _DeadlineStream(httpcore.NetworkStream):
    """Connection that ends at a deadline, even if data arrives steadily."""

    def __init__(self, inner: httpcore.NetworkStream, monotonic: Callable[[], float], deadline: float) -> None:
        self._inner = inner
        self._monotonic = monotonic
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """See httpcore.NetworkStream."""
        return self._inner.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """See httpcore.NetworkStream."""
        self._inner.write(buffer, self._left(timeout))

    def close(self) -> None:
        """See httpcore.NetworkStream."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """See httpcore.NetworkStream."""
        inner = self._inner.start_tls(ssl_context, server_hostname, self._left(timeout))
        return _DeadlineStream(inner, self._monotonic, self._deadline)

    def get_extra_info(self, info: str) -> object:
        """See httpcore.NetworkStream."""
        return self._inner.get_extra_info(info)

    def _left(self, timeout: float | None) -> float:
        left = self._deadline - self._monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the deadline of the download has passed")
        return min(left, SILENCE_S if timeout is None else timeout)


def _header(answer: httpcore.Response, name: bytes) -> str:
    """Return the first header of that name, "" when there is none."""
    return next((value.decode("latin-1").strip() for key, value in answer.headers if key.lower() == name), "")
