"""`python -m bench.silent_hosts COUNT NETWORK`: so many addresses where connections are accepted, kept, and never
answered. NETWORK is the second number of all of them: two runs at a time take different ones.

Says "ready" when all listen, then, for every line that it reads, how many connections there were so far.
"""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from service.hypervisor.libvirt_link.pki import TLS_PORT


def network_of(pid: int) -> int:
    """A network for the process of that number."""
    return 10 + pid % 240


def address(network: int, number: int) -> str:
    """Of the silent host of that number, from 0: all are this computer's."""
    return f"127.{network}.{1 + number // 250}.{1 + number % 250}"


def make_pki(folder: Path, addresses: Iterable[str]) -> Path:
    """An authority, and one certificate for both sides at all these addresses, as libvirt wants them."""
    names = ",".join(f"IP:{one}" for one in addresses)
    _certify(folder, "ca", "/CN=authority", "basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign")
    signed = ("-CA", f"{folder}/cacert.pem", "-CAkey", f"{folder}/cakey.pem")
    uses = "keyUsage=digitalSignature,keyEncipherment"
    more = ("basicConstraints=critical,CA:FALSE", uses, f"subjectAltName={names}")
    _certify(folder, "client", "/CN=control", *more, options=signed)
    return folder


def _certify(folder: Path, name: str, subject: str, *extensions: str, options: tuple[str, ...] = ()) -> None:
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{folder}/{name}key.pem"]
    added = [word for extension in extensions for word in ("-addext", extension)]
    out = ["-days", "1", "-out", f"{folder}/{name}cert.pem"]
    subprocess.run(
        ["openssl", "req", "-x509", "-config", "/dev/null", "-subj", subject, *key, *added, *options, *out],
        check=True,
        capture_output=True,
    )


def main(count: int, network: int) -> None:
    """Until standard input ends."""
    ears, accepted = selectors.DefaultSelector(), 0
    for number in range(count):
        ears.register(
            socket.create_server((address(network, number), TLS_PORT), backlog=64), selectors.EVENT_READ, "listens"
        )
    ears.register(sys.stdin, selectors.EVENT_READ, "asks")
    print("ready", flush=True)
    while True:
        for key, _ in ears.select():
            if key.data == "asks":
                if not sys.stdin.readline():
                    return
                print(accepted, flush=True)
            elif key.data == "listens":
                one, _ = key.fileobj.accept()  # type: ignore[union-attr]  # a listening socket
                ears.register(one, selectors.EVENT_READ, "talks")
                accepted += 1
            elif not _heard(key.fileobj):  # type: ignore[arg-type]  # a connection
                ears.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]


def _heard(one: socket.socket) -> bytes:
    try:
        return one.recv(4096)
    except ConnectionError:
        return b""


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
