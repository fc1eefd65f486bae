from datetime import UTC, datetime, timedelta

from service.edge.call import Reply
from service.edge.response_cache import Answer, ResponseCache, key_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HELLO = Answer(Reply(b"hello"))


def test_an_answer_is_found_while_the_database_is_the_same():
    kept = ResponseCache(1 << 20)
    kept.keep("key", 7, HELLO)
    assert kept.find("key", 7, NOW) == HELLO
    assert kept.find("other", 7, NOW) is None


def test_an_answer_of_another_version_is_never_served():
    kept = ResponseCache(1 << 20)
    kept.keep("key", 7, HELLO)
    assert kept.find("key", 8, NOW) is None
    kept.keep("other", 8, HELLO)
    assert kept.find("key", 8, NOW) is None


def test_a_late_answer_of_an_older_version_is_not_taken_for_a_new_one():
    kept = ResponseCache(1 << 20)
    kept.keep("key", 8, HELLO)
    kept.keep("key", 7, Answer(Reply(b"old")))
    assert kept.find("key", 8, NOW) is None


def test_an_answer_ends_with_the_token_it_was_given_to():
    kept = ResponseCache(1 << 20)
    kept.keep("key", 7, Answer(Reply(b"hello"), valid_until=NOW + timedelta(seconds=1)))
    assert kept.find("key", 7, NOW) is not None
    assert kept.find("key", 7, NOW + timedelta(seconds=1)) is None


def test_what_was_asked_for_least_recently_makes_room():
    kept = ResponseCache(2 * HELLO.size)
    kept.keep("a", 7, HELLO)
    kept.keep("b", 7, HELLO)
    kept.find("a", 7, NOW)
    kept.keep("c", 7, HELLO)
    assert [key for key in "abc" if kept.find(key, 7, NOW)] == ["a", "c"]


def test_an_answer_larger_than_all_room_is_not_kept():
    kept = ResponseCache(HELLO.size - 1)
    kept.keep("a", 7, HELLO)
    assert kept.find("a", 7, NOW) is None


def test_an_answer_made_twice_counts_once():
    kept = ResponseCache(2 * HELLO.size)
    for _ in range(9):
        kept.keep("a", 7, HELLO)
    kept.keep("b", 7, HELLO)
    assert kept.find("a", 7, NOW) == HELLO


def test_the_key_tells_requests_apart_and_holds_no_token():
    asked = {"PATH_INFO": "/v1/vms", "QUERY_STRING": "", "HTTP_AUTHORIZATION": "Bearer secret"}
    assert key_of(asked) == key_of(dict(asked))
    others = [
        asked | {name: "other"} for name in ("PATH_INFO", "QUERY_STRING", "HTTP_AUTHORIZATION", "HTTP_IF_NONE_MATCH")
    ]
    assert len({key_of(asked), *map(key_of, others)}) == 5
    assert "secret" not in str(key_of(asked))
