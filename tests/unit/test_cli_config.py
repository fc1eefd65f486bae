"""Where the API is, and who asks: the environment, the file, the token."""

import pytest


def test_without_a_url_the_next_step_is_told(bare):
    code, _, err = bare("vm", "list")
    assert code == 2
    assert "NACRE_URL" in err


def test_the_file_stands_in_for_the_environment(bare, home, server):
    (home / "token").write_text("t")
    folder = home / ".config/nacre"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f'url = "{server.url}/"\ntoken_file = "~/token"\n')
    server.say({"items": []})
    code, _, _ = bare("vm", "list")
    assert code == 0
    assert server.headers[0]["Authorization"] == "Bearer t"


def test_a_broken_file_is_a_usage_error(bare, home):
    folder = home / ".config/nacre"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("url =")
    code, _, err = bare("vm", "list")
    assert code == 2
    assert "config.toml cannot be read" in err


@pytest.mark.parametrize("url", ["localhost:8470", "ftp://x", "http://", "http://a\x1bb"])
def test_a_url_that_is_none_is_a_usage_error(nacre, monkeypatch, url):
    monkeypatch.setenv("NACRE_URL", url)
    code, _, err = nacre("vm", "list")
    assert code == 2
    assert err.startswith("nacre: ")
    assert "\x1b" not in err


@pytest.mark.parametrize("token", [b"", b"\n", b"a b", b"a\nb", b"\xff", "é".encode()])
def test_a_file_that_holds_no_token_is_a_usage_error(nacre, home, token):
    (home / "token").write_bytes(token)
    code, _, err = nacre("vm", "list")
    assert code == 2
    assert "contains no token" in err


def test_a_service_that_is_down_is_one_sentence(nacre, server, monkeypatch):
    server.http.server_close()
    monkeypatch.setenv("NACRE_URL", "http://127.0.0.1:1")
    code, _, err = nacre("vm", "list")
    assert code == 1
    assert "is the service running?" in err
