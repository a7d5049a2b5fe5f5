"""A real nginx with deploy/nginx.conf in front of Pithead as an operator runs it: TLS, addresses, sizes and logs."""

from __future__ import annotations

import http.client
import shutil
import socket
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from apikeys.models import ApiKey, Role
from tests.security.live_server import serving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.nginx]

CONFIGURATION = Path("deploy/nginx.conf")
DAY = timedelta(days=1)
WRAPPER = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {folder}/body;
    client_body_buffer_size 9m;  # in memory: a worker of root's nginx can't enter root's folder
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def free_ports(count):
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def make_certificate(certificate, key):
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number(), now, now + DAY)
    certificate.write_bytes(made.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.fixture(scope="module")
def front(django_db_setup, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("front")
    plain, secure = free_ports(2)
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make_certificate(certificate, key)
    variables = {"PITHEAD_TRUSTED_PROXIES": "1", "SECURE_SSL_REDIRECT": "True", "PITHEAD_METRICS_TOKEN": "t" * 32}
    variables |= {"PITHEAD_REQUEST_LOG_SECONDS": "3600"}  # tests that share a server empty the database meanwhile
    with serving(tmp_path / "pithead.log", workers=1, **variables) as (_, pithead):
        site = CONFIGURATION.read_text()
        for ours, theirs in {
            "127.0.0.1:8000": f"127.0.0.1:{pithead}",
            "listen 80;": f"listen 127.0.0.1:{plain};",
            "listen 443 ssl;": f"listen 127.0.0.1:{secure} ssl;",
            "server_name pool.example.com;": "server_name 127.0.0.1;",
            "/etc/ssl/pool.example.com.pem": str(certificate),
            "/etc/ssl/private/pool.example.com.key": str(key),
            "/var/log/nginx/pithead.log": str(tmp_path / "access.log"),
        }.items():
            assert ours in site
            site = site.replace(ours, theirs)
        (tmp_path / "site.conf").write_text(site)
        (tmp_path / "nginx.conf").write_text(WRAPPER.format(folder=tmp_path))
        process = subprocess.Popen([nginx, "-c", tmp_path / "nginx.conf", "-p", tmp_path, "-g", "daemon off;"])
        try:
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", secure)) == 0:
                        break
                threading.Event().wait(0.05)
            yield SimpleNamespace(plain=plain, secure=secure, log=tmp_path / "access.log")
        finally:
            process.terminate()
            process.wait(timeout=10)


def ask(front, path, secret=None, method="GET", body=None, plain=False, **headers):
    if plain:
        client = http.client.HTTPConnection("127.0.0.1", front.plain, timeout=30)
    else:
        trusting = ssl._create_unverified_context()  # noqa: S323 its certificate was made a moment ago
        client = http.client.HTTPSConnection("127.0.0.1", front.secure, timeout=30, context=trusting)
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    try:
        client.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = client.getresponse()
        return answer, answer.read().decode()
    finally:
        client.close()


def test_pages_and_api_are_served_over_https_and_lead_nowhere_else(front, issue_key):
    _, secret = issue_key("viewer")
    assert ask(front, "/api/v1/key", secret)[0].status == 200
    answer, _ = ask(front, "/")
    assert (answer.status, answer.getheader("Location")) == (302, "/sign-in/?next=/")
    assert answer.getheader("Strict-Transport-Security")
    answer, _ = ask(front, "/sign-in/", plain=True)
    assert (answer.status, answer.getheader("Location")) == (301, "https://127.0.0.1/sign-in/")


@pytest.mark.parametrize("path", ["/api/v1/key", "/staging/api/v1/key", "/development/api/v1/key"])
def test_a_key_in_the_clear_is_refused_so_that_somebody_notices(front, issue_key, path):
    answer, text = ask(front, path, issue_key("viewer")[1], plain=True)
    assert (answer.status, answer.getheader("Content-Type")) == (400, "application/problem+json")
    assert "Use https" in text


def test_a_client_s_own_word_of_its_address_counts_for_nothing(front, issue_key):
    _, elsewhere = issue_key("viewer", allowed_cidrs=["203.0.113.0/24"])
    _, here = issue_key("viewer", name="here", allowed_cidrs=["127.0.0.0/8"])
    for forged in ("203.0.113.5", "203.0.113.5, 203.0.113.5"):
        answer, text = ask(front, "/api/v1/key", elsewhere, X_Forwarded_For=forged)
        assert answer.status == 403
        assert "from 127.0.0.1" in text
        assert ask(front, "/api/v1/key", here, X_Forwarded_For=forged)[0].status == 200


def test_what_is_for_the_inside_is_not_there(front, issue_key):
    _, secret = issue_key("viewer")
    assert ask(front, "/metrics", "t" * 32)[0].status == 404
    assert ask(front, "/gateway/verify", secret, X_Pithead_Permission="stats:read")[0].status == 404


def test_an_import_passes_and_pithead_itself_says_what_is_wrong_with_it(front, account, issue_key):
    key, secret = issue_key("administrator")
    role = Role.objects.create(account=account, name="Backend", permissions=["ingest:write"])
    ApiKey.objects.filter(pk=key.pk).update(access_level="custom", role=role)
    body = b"x" * 7_900_000
    answer, text = ask(front, "/api/v1/ingest/miners", secret, "PUT", body, Content_Type="text/csv")
    assert (answer.status, answer.getheader("Content-Type")) == (400, "application/problem+json"), text
    assert "invalid_request" in text


def test_its_log_keeps_no_key_and_no_token(front, issue_key):
    _, secret = issue_key("viewer")
    for path in (
        f"/api/v1/miners?key={secret}",
        f"/{secret}/",
        "/invitations/canary/",
        "/sign-in/new-password/x/canary/",
    ):
        ask(front, path, Referer=f"https://127.0.0.1/?key={secret}")
        ask(front, path, plain=True)
    ask(front, "/api/v1/key?a=b", secret)
    for _ in range(100):  # nginx writes a line after the answer
        log = front.log.read_text()
        if "/api/v1/key?a=b" in log:
            break
        time.sleep(0.1)
    assert '"GET /api/v1/key?a=b HTTP/1.1" 400' in log
    assert "req_" in log
    assert secret[20:63] not in log
    assert "canary" not in log
