"""Password hashes by argon2id.

19 MiB, two passes, one lane: OWASP's minimum, because the control plane shares its cores with guests.

https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
"""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

SHORTEST, LONGEST_BYTES = 8, 1024

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 << 10, parallelism=1)
# A hash that no password matches: checked for an unknown user, so that the answer takes as long as for a known one.
_NOBODYS = _HASHER.hash("\0" * 64)


def hashed(password: str) -> str:
    """Return the hash of a password.

    Uses a core for some tens of milliseconds: limit how many run at a time.
    """
    return _HASHER.hash(password)


def matches(stored: str | None, password: str) -> bool:
    """Return True if the password matches the stored hash; as slow without a hash.

    `password` is at most LONGEST_BYTES long.
    """
    try:
        _HASHER.verify(stored or _NOBODYS, password)
    except VerifyMismatchError:
        return False
    return stored is not None
