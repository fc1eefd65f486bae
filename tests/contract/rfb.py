"""The least of VNC: whether a server lets somebody in with a password. Source: RFC 6143, 7.1 and 7.2.2."""

from __future__ import annotations

import socket

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from service.hypervisor.values import Display

VNC_AUTHENTICATION = 2
TIMEOUT_S = 20


def lets_in(display: Display, password: str) -> bool:
    """True when the server says OK to the answer to its challenge."""
    with socket.create_connection((display.address, display.port), TIMEOUT_S) as connection:
        connection.settimeout(TIMEOUT_S)
        server = connection.makefile("rb")
        assert server.read(12) == b"RFB 003.008\n"
        connection.sendall(b"RFB 003.008\n")
        assert list(server.read(server.read(1)[0])) == [VNC_AUTHENTICATION]
        connection.sendall(bytes([VNC_AUTHENTICATION]))
        connection.sendall(_answer(server.read(16), password))
        return server.read(4) == bytes(4)


def _answer(challenge: bytes, password: str) -> bytes:
    """DES, whose key is the password with the bits of every byte turned around. Thrice the same DES is one."""
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode().ljust(8, b"\0")[:8])
    return Cipher(TripleDES(key * 3), modes.ECB()).encryptor().update(challenge)
