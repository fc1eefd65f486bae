"""What VNC takes as a password: its DES key has eight bytes, and what is longer would silently be cut."""

from __future__ import annotations

from service.hypervisor.errors import SpecInvalidError

LONGEST = 8


def check_password(password: str | None) -> None:
    """Raises SpecInvalidError, without the password in it, unless it is None or 1 to 8 characters of plain ASCII."""
    if password is None:
        return
    if not (1 <= len(password) <= LONGEST and password.isascii() and password.isprintable()):
        raise SpecInvalidError(f"a VNC password has 1 to {LONGEST} printable characters of ASCII")
