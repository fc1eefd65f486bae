"""Passwords: argon2id. 19 MiB, two passes, one lane: OWASP's least, for the control plane shares its cores with guests.

https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
"""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

SHORTEST, LONGEST_BYTES = 8, 1024

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 << 10, parallelism=1)
# A hash of nothing that can be typed: whoever names a user that is not there waits as long as everybody else.
_NOBODYS = _HASHER.hash("\0" * 64)


def hashed(password: str) -> str:
    """The password as it is kept. Takes a core for some tens of milliseconds: bound how many at a time."""
    return _HASHER.hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Whether it is the one that was kept; as slow without one. `password` is at most LONGEST_BYTES long."""
    try:
        _HASHER.verify(kept or _NOBODYS, password)
    except VerifyMismatchError:
        return False
    return kept is not None
