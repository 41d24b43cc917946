"""``make audit``: what it says of weak packages, and that it never passes what it could not look up."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from local import environments, lists
from local.__main__ import COMMANDS
from local.basics import LocalError

SERVICE = "pypi.org"
NO_WEAKNESS = json.dumps({"vulnerabilities": []})
WEAK = json.dumps({"vulnerabilities": [{"id": "PYSEC-0-0", "aliases": [], "summary": "bad", "fixed_in": ["99"]}]})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate in the service's name, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SERVICE)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(SERVICE)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path_factory.mktemp("service") / "service.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return file


@contextmanager
def service(certificate: Path, status: int, body: str) -> Iterator[tuple[str, list[str]]]:
    """PyPI's service on this machine: the address of a proxy that leads there, and the paths that were asked for."""
    asked: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_CONNECT(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.connection = context.wrap_socket(self.connection, server_side=True)
            self.close_connection = False
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


#: ``make audit`` of the shortest list, by a proxy.
Audit = Callable[[str], int]


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch, certificate: Path, tmp_path: Path) -> Audit:
    """``make audit`` of the shortest list, with nothing remembered of what was asked before."""

    def run(proxy: str) -> int:
        monkeypatch.setenv("https_proxy", proxy)
        return COMMANDS["audit"]()

    environments.ensure_checks()  # while packages can be had: by the proxy they cannot
    monkeypatch.setattr(lists, "LISTS", {"tools": [], "composer-image": []})
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path))
    for name in ("PIP_AUDIT_VULNERABILITY_SERVICE", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return run


def test_packages_without_a_known_weakness_pass(audit: Audit, certificate: Path) -> None:
    with service(certificate, 200, NO_WEAKNESS) as (proxy, asked):
        assert audit(proxy) == 0
    assert [path.split("/")[2] for path in asked] == ["uv"]


def test_a_weak_package_is_named_with_its_list(
    audit: Audit, certificate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        service(certificate, 200, WEAK) as (proxy, _),
        pytest.raises(LocalError, match=r"^Known weaknesses: requirements/tools\.txt$"),
    ):
        audit(proxy)
    assert "PYSEC-0-0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (404, "", "uv: Dependency not found on PyPI"),
        (500, "", "500 Server Error"),
        (403, "", "403 Client Error"),
        (200, "<html>Log in to this network</html>", "Expecting value"),
    ],
)
def test_what_could_not_be_looked_up_is_refused_with_the_reason(
    audit: Audit, certificate: Path, status: int, body: str, why: str
) -> None:
    told = rf"^The packages of requirements/tools\.txt could not be looked up: {why}.*Run it where the service can be"
    with service(certificate, status, body) as (proxy, _), pytest.raises(LocalError, match=told):
        audit(proxy)


def test_without_a_network_it_is_refused(audit: Audit) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        proxy = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(LocalError, match=r"requirements/tools\.txt could not be looked up: .*Connection refused"):
        audit(proxy)


def test_every_list_that_is_installed_from_is_audited(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lists, "weaknesses", lambda name: "a table" if name in ("airflow", "emulators") else "")
    with pytest.raises(LocalError, match=r"^Known weaknesses: requirements/airflow\.txt, requirements/emulators\.txt$"):
        COMMANDS["audit"]()
    said = capsys.readouterr().out
    named = {name for name in lists.LISTS if f"requirements/{name}.txt" in said}
    assert named == {path.stem for path in environments.REQUIREMENTS.glob("*.txt")} - {"composer-image"}
