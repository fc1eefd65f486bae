"""The server before the API: slow clients cost it connections, never threads; all that it refuses is a problem."""

import json
import threading
import time
from contextlib import closing

import httpx
import pytest

from tests.http.served import THREADS
from tests.http_server import GENEROUS_S, everything

GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def problem(raw: bytes) -> dict:
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"Content-Type: application/problem+json" in head
    document = json.loads(body)
    assert int(head.split()[1]) == document["status"]
    assert f"X-Request-ID: {document['request_id']}".encode() in head
    return document


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"G",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ",
        b"POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nonly this",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n",
        b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nonly this",
        b"POST /unread HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nonly",
        b"nonsense\r\n\r\n",
        LAST,
    ],
    ids=[
        "nothing",
        "a-byte",
        "half-a-head",
        "half-a-body",
        "no-body",
        "unread",
        "unread-chunks",
        "nonsense",
        "lingers",
    ],
)
def test_a_crowd_of_clients_that_go_no_further_holds_nobody_up(served, says):
    with served.crowd(500, says):
        served.assert_serves()


def test_clients_that_do_not_read_their_answer_hold_nobody_up(served):
    with served.crowd(100, b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n", receive_bytes=4096):
        served.assert_serves()


def test_clients_that_dribble_hold_nobody_up(served):
    with served.crowd(200, b"GET /healthz HTTP/1.1\r\n") as clients:
        for letter in b"X-Slow: yes":
            for client in clients:
                client.sendall(bytes([letter]))
        served.assert_serves(5)
        for client in clients:
            client.sendall(b"\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert all(everything(client).endswith(b"\r\n\r\nok") for client in clients)


def test_a_client_that_never_comes_to_an_end_is_hung_up_on(hasty):
    began = time.monotonic()
    with closing(hasty.connect()) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert everything(client) == b""
    assert time.monotonic() - began > 2, "it gets its time"


def test_more_clients_than_connections_push_out_the_slowest(served):
    with served.crowd(1000, b"GET /healthz HTTP/1.1\r\nX-Slow: "):
        served.assert_serves()


def test_a_slow_reader_gets_all_of_its_answer(served):
    with closing(served.connect(receive_bytes=4096)) as client:
        client.sendall(b"GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        time.sleep(1)
        assert len(everything(client).partition(b"\r\n\r\n")[2]) == 400_000


def test_more_requests_than_threads_are_answered_as_threads_come_free(served):
    answers = []

    def ask() -> None:
        answers.append(served.get("/page").status_code)

    every = [threading.Thread(target=ask) for _ in range(THREADS * 5)]
    for thread in every:
        thread.start()
    for thread in every:
        thread.join(GENEROUS_S)
    assert answers == [200] * len(every)


def test_requests_that_come_in_one_piece_are_answered_in_their_order(served):
    post = b"POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345"
    told = served.says(GET + post + GET + LAST)
    assert [part.partition(b"\r\n\r\n")[2][:2] for part in told.split(b"HTTP/1.1 200 OK")[1:]] == [
        b"ok",
        b"5",
        b"ok",
        b"ok",
    ]


def test_a_connection_is_kept_for_the_next_request(served):
    with httpx.Client(base_url=served.url, timeout=GENEROUS_S) as client:
        streams = {id(client.get("/healthz").extensions["network_stream"]) for _ in range(5)}
        assert client.post("/size", content=b"x" * 1000).text == "1000"
    assert len(streams) == 1


@pytest.mark.parametrize("size", [0, 1, 128 << 10, (128 << 10) + 1, 5_000_000])
def test_a_body_arrives_whole_with_and_without_a_length(served, size):
    assert httpx.post(f"{served.url}/size", content=bytes(size), timeout=GENEROUS_S).text == str(size)
    chunks = (bytes(min(70_000, size - begin)) for begin in range(0, size, 70_000))
    assert httpx.post(f"{served.url}/size", content=chunks, timeout=GENEROUS_S).text == str(size)


def test_a_client_that_asks_first_is_told_to_go_on(served):
    with closing(served.connect()) as client:
        client.sendall(b"POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 100")
        client.sendall(b"abc")
        assert everything(client).endswith(b"\r\n\r\n3")


def test_broken_chunks_are_an_error_of_the_body(served):
    told = served.says(b"POST /size HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
    assert told.startswith(b"HTTP/1.1 400")
    assert told.endswith(b"broken")


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "request.malformed"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA B: c\r\n\r\n", 400, "request.malformed"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, "request.malformed"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, "request.malformed"),
        (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request.malformed"),
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400, "request.malformed"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "request.path_too_long"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431, "request.headers_too_large"),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 70 + b"\r\n", 431, "request.headers_too_large"),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 20_000, 431, "request.headers_too_large"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: much\r\n\r\n", 417, "request.expectation"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: rot13\r\n\r\n", 501, "request.transfer_coding"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_request_is_a_problem_with_a_code(served, raw, status, code):
    document = problem(served.says(raw))
    assert (document["status"], document["code"]) == (status, code)
    served.assert_serves(1)


def test_an_application_that_answers_nonsense_is_a_fault(served):
    assert problem(served.says(b"GET /bad-header HTTP/1.1\r\nHost: a\r\n\r\n"))["code"] == "internal"


def test_a_stream_ends_when_it_has_ended(served):
    assert served.get("/stream").text == "tick\n" * 3


@pytest.mark.parametrize("length", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
def test_a_body_that_drips_is_given_up(hasty, length):
    with closing(hasty.connect()) as client:
        client.sendall(b"POST /size HTTP/1.1\r\nHost: a\r\n" + length + b"\r\n\r\n")
        answer = dripped(client, b"f4240\r\n" + bytes(100))
    assert b" 400 " in answer.partition(b"\r\n")[0]


def dripped(client, data: bytes) -> bytes:
    """What is answered while one byte comes now and then."""
    client.settimeout(0.2)
    for byte in data:
        client.sendall(bytes([byte]))
        try:
            return client.recv(1 << 16)
        except TimeoutError:
            continue
    return b""
