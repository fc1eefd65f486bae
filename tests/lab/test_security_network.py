"""Who gets in over the network: libvirt and VNC on every host."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from lab.command import run
from tests.lab.cloud import Cloud
from tests.lab.whole_lab import WholeLab

TLS_PORT, TCP_PORT, VNC_BASE = 16514, 16509, 5900
WELCOME = b"\x01"  # what libvirtd sends to a client that it accepts
NO_SECURITY, VNC_AUTHENTICATION = 1, 2  # RFC 6143, 7.2
OK = 0


def tls_greeting(lab: WholeLab, address: str, certificate: tuple[Path, Path] | None) -> bytes:
    """The first byte that libvirtd says to a client with this certificate and key; b"" when it hangs up or refuses."""
    context = ssl.create_default_context(cafile=lab.spec.folder / "control/pki/cacert.pem")
    if certificate is not None:
        context.load_cert_chain(*certificate)
    try:
        with (
            socket.create_connection((address, TLS_PORT), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=address) as secure,
        ):
            return secure.recv(1)
    except (ssl.SSLError, ConnectionResetError):
        return b""


@pytest.fixture(scope="module")
def strangers_certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate with the control plane's name from an authority that nobody knows."""
    folder = tmp_path_factory.mktemp("stranger")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    options = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=control", "-days", "1"]
    run(["openssl", "req", "-x509", *options, "-out", certificate, "-keyout", key])
    return certificate, key


def test_libvirtd_accepts_the_control_planes_certificate(lab: WholeLab) -> None:
    pki = lab.spec.folder / "control/pki"
    for machine in lab.spec.machines:
        own = (pki / "clientcert.pem", pki / "clientkey.pem")
        assert tls_greeting(lab, str(machine.address), own) == WELCOME


def test_libvirtd_refuses_a_client_without_a_certificate(lab: WholeLab) -> None:
    for machine in lab.spec.machines:
        assert tls_greeting(lab, str(machine.address), None) == b""


def test_libvirtd_refuses_a_certificate_of_another_authority(
    lab: WholeLab, strangers_certificate: tuple[Path, Path]
) -> None:
    for machine in lab.spec.machines:
        assert tls_greeting(lab, str(machine.address), strangers_certificate) == b""


def test_libvirtds_plain_port_is_closed(lab: WholeLab) -> None:
    for machine in lab.spec.machines:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((str(machine.address), TCP_PORT), timeout=10)


def test_libvirtd_listens_on_the_management_address_only(lab: WholeLab) -> None:
    for machine in lab.machines:
        listening = machine.run(["ss", "-Hltn", f"sport = :{TLS_PORT}"]).split("\n")
        assert [line.split()[3] for line in listening if line] == [f"{machine.spec.address}:{TLS_PORT}"]


def receive(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := client.recv(size - len(data))):
        data += more
    return data


def test_vnc_lets_nobody_in_without_a_password(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.create())
    machine = cloud.lab.machine(vm["host"])
    display = int(machine.run(["virsh", "vncdisplay", vm["id"]]).strip().rpartition(":")[2])
    with socket.create_connection((str(machine.spec.address), VNC_BASE + display), timeout=10) as client:
        client.sendall(receive(client, 12))  # the same version of the protocol
        offered = receive(client, receive(client, 1)[0])
        assert NO_SECURITY not in offered
        assert VNC_AUTHENTICATION in offered
        client.sendall(bytes([VNC_AUTHENTICATION]))
        client.sendall(answer_with_empty_password(receive(client, 16)))
        assert int.from_bytes(receive(client, 4)) != OK


def answer_with_empty_password(challenge: bytes) -> bytes:
    """RFC 6143, 7.2.2: the challenge encrypted by DES under the password, here nothing but zeros."""
    encryptor = Cipher(TripleDES(bytes(24)), modes.ECB()).encryptor()  # thrice the same key is DES
    return encryptor.update(challenge) + encryptor.finalize()
