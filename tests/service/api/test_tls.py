"""The api with a certificate of its own: HTTPS from the first byte, and what goes with it."""

from __future__ import annotations

import datetime
import ipaddress
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.ports import free_ports

from casehaven.core.boundary import HSTS


def certified(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for localhost, signed by its own key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "own.pem", folder / "own-key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form, locked = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, locked))
    return certificate, private


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, Path]]:
    """An api on HTTPS: its origin, its certificate and its folder."""
    place = tmp_path_factory.mktemp("secure")
    certificate, private = certified(place)
    port, status = free_ports(2)
    origin, folder = f"https://localhost:{port}", place / "service"
    command = [sys.executable, "-m", "casehaven", "serve", "api", "--folder", str(folder), "--port", str(port)]
    command += ["--status-port", str(status), "--origin", origin]
    command += ["--certificate", str(certificate), "--private-key", str(private)]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while not _listens(status):
            assert process.poll() is None and time.monotonic() < until, (place / "log").read_text()
            time.sleep(0.05)
        yield origin, certificate, folder
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def pinned(certificate: Path) -> ssl.SSLContext:
    """A client's settings that trust this certificate and no other."""
    return ssl.create_default_context(cafile=str(certificate))


def test_a_client_that_pins_the_certificate_is_answered_with_strict_transport_security(
    secure: tuple[str, Path, Path],
) -> None:
    origin, certificate, _ = secure
    with httpx.Client(verify=pinned(certificate), base_url=origin) as client:
        for path in ("/v1", "/v1/nothing", "/set-up"):
            assert client.get(path).headers["strict-transport-security"] == HSTS


def test_the_sessions_cookie_is_for_https_alone(secure: tuple[str, Path, Path]) -> None:
    origin, certificate, folder = secure
    code = (folder / "set-up-code.txt").read_text().strip()
    body = {"code": code, "organisation": "north", "title": "North", "kind": "ngo", "handle": "ana"}
    with httpx.Client(verify=pinned(certificate), base_url=origin) as client:
        made = client.post("/v1/setup", json=body, headers={"Origin": origin})
        assert made.status_code == 201, made.text
        (cookie,) = [line for line in made.headers.get_list("set-cookie") if "session" in line]
        assert cookie.startswith("__Host-")
        assert {"secure", "httponly", "samesite=strict"} <= {part.strip().lower() for part in cookie.split(";")}
        assert client.get("/v1/session").json()["kind"] == "enrolling"  # the cookie came back
        plain = client.post("/v1/setup", json=body, headers={"Origin": origin.replace("https", "http")})
        assert plain.status_code == 403 and plain.json()["code"] == "cross-site"


def test_a_client_that_does_not_know_the_certificate_does_not_connect(secure: tuple[str, Path, Path]) -> None:
    with httpx.Client(base_url=secure[0]) as client, pytest.raises(httpx.ConnectError):
        client.get("/v1")


def test_nothing_is_answered_in_plain_or_in_old_tls(secure: tuple[str, Path, Path]) -> None:
    origin, certificate, _ = secure
    port = int(origin.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET /v1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            found = connection.recv(1000)
        except ConnectionResetError:
            found = b""
        assert b"HTTP" not in found
    context = pinned(certificate)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as wrapped,
    ):
        assert wrapped.version() in ("TLSv1.2", "TLSv1.3")
        wrapped.sendall(b"GET /v1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: wrapped.recv(65536), b""))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["name"] == "casehaven"


def test_silent_connections_before_the_handshake_are_bounded_as_well(secure: tuple[str, Path, Path]) -> None:
    origin, certificate, _ = secure
    port = int(origin.rpartition(":")[2])
    silent = [
        socket.create_connection(("127.0.0.1", port), timeout=20, source_address=("127.0.7.7", 0)) for _ in range(300)
    ]
    try:
        with httpx.Client(verify=pinned(certificate), base_url=origin, timeout=20) as client:
            assert client.get("/v1").status_code == 200
    finally:
        for one in silent:
            one.close()
