"""Hosts that are silent, closed or strangers: each is told at once or at the deadline, never later."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.hypervisor.contract import HostEndpoint
from service.hypervisor.errors import HostUnreachableError
from service.hypervisor.libvirt_link import tls_check
from service.hypervisor.libvirt_link.pki import Pki
from service.hypervisor.libvirt_link.tls_check import check_tls

HERE = HostEndpoint("host1", "127.0.0.1")


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    key, certificate = tmp_path / "clientkey.pem", tmp_path / "clientcert.pem"
    subject = ["-subj", "/CN=control", "-days", "1"]
    made = ["-nodes", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", *subject, *made],
        check=True,
        capture_output=True,
    )
    (tmp_path / "cacert.pem").write_bytes(certificate.read_bytes())
    return Pki(tmp_path)


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A port that accepts connections (the kernel does) and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(tls_check, "TLS_PORT", server.getsockname()[1])
        yield server


@pytest.mark.usefixtures("listener")
def test_a_silent_daemon_costs_the_deadline_and_no_more(pki: Pki) -> None:
    with pytest.raises(HostUnreachableError, match="no answer in time"):
        check_tls(HERE, pki, timeout_s=0.1)


def test_a_closed_port_is_told_at_once(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as bound:  # it does not listen, and nothing else gets the port meanwhile
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setattr(tls_check, "TLS_PORT", bound.getsockname()[1])
        with pytest.raises(HostUnreachableError, match="refused"):
            check_tls(HERE, pki, timeout_s=60)


def test_an_answer_that_is_not_tls_is_no_daemon(pki: Pki, listener: socket.socket) -> None:
    def answer() -> None:
        accepted, _ = listener.accept()
        with accepted:
            accepted.recv(1)
            accepted.sendall(b"SSH-2.0-whatever\r\n")

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises(HostUnreachableError, match="host1"):
        check_tls(HERE, pki, timeout_s=60)
    thread.join()
