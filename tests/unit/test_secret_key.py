"""The control plane's own secret: one for all processes, for its owner alone."""

import threading

from service.operations.secret_key import KEY_BYTES, derive, secret_key


def test_of_many_that_make_it_together_one_key_is_kept_by_all(tmp_path):
    path, found = tmp_path / "secret.key", []
    start = threading.Barrier(8)

    def make():
        start.wait()
        found.append(secret_key(path))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {path.read_bytes()}
    assert len(path.read_bytes()) == KEY_BYTES
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret.key"]


def test_the_key_is_for_its_owner_alone(tmp_path):
    secret_key(tmp_path / "secret.key")
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600


def test_what_is_derived_depends_on_the_key_the_purpose_and_every_part(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    same = derive(one, "vnc", "a", "b")
    others = [
        derive(two, "vnc", "a", "b"),
        derive(one, "other", "a", "b"),
        derive(one, "vnc", "ab", ""),
        derive(one, "vnc", "a"),
    ]
    assert derive(one, "vnc", "a", "b") == same
    assert len({same, *others}) == 5
