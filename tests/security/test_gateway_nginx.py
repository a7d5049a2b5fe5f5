"""A real nginx with the configuration that we ship, in front of a small service: every decision, as clients meet it."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import Account
from apikeys import key_format, lifecycle, problems
from apikeys.api.verify import REFUSALS
from apikeys.models import ApiKey
from tests.conftest import COMMAND
from tests.factories import MinerFactory
from tests.security.live_server import serving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.nginx]

CONFIGURATION = Path("deploy/gateway/nginx.conf")
WRAPPER = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


#: A location of somebody who forgot what it takes.
FORGOTTEN = "location /forgotten/ { proxy_pass http://service; }"


class Service(BaseHTTPRequestHandler):
    """The service behind the gateway: it answers with the headers that reached it, and notes who asked for what."""

    def do_GET(self):
        self.server.seen.append((self.command, self.path))
        text = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(500 if self.path == "/statistics/broken" else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_POST = do_HEAD = do_GET

    def log_message(self, *args):
        pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def nginx_before(pithead: int, folder: Path):
    """nginx as we ship it, before Pithead on that port and a service; yields nginx's port and what the service saw."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert nginx, "This test needs nginx: apt-get install nginx-light"
    service = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    service.seen = []
    Thread(target=service.serve_forever, args=(0.01,), daemon=True).start()
    port = free_port()
    site = CONFIGURATION.read_text()
    for ours, theirs in (("8000", pithead), ("9000", service.server_port), ("8080", port)):
        assert f"127.0.0.1:{ours}" in site
        site = site.replace(f"127.0.0.1:{ours}", f"127.0.0.1:{theirs}")
    assert "access_log /var/log/nginx/pithead.log" in site
    site = site.replace("/var/log/nginx/pithead.log", str(folder / "access.log"))
    assert "    location / {" in site
    (folder / "site.conf").write_text(site.replace("    location / {", f"{FORGOTTEN}\n    location / {{"))
    (folder / "nginx.conf").write_text(WRAPPER.format(folder=folder))
    process = subprocess.Popen([nginx, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-g", "daemon off;"])
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield SimpleNamespace(port=port, seen=service.seen, log=folder / "access.log")
    finally:
        process.terminate()
        process.wait(timeout=10)
        service.shutdown()
        service.server_close()
    assert settings.PITHEAD_KEY_PREFIX + "_live_" not in (folder / "error.log").read_text()


@pytest.fixture
def gateway(tmp_path, account):
    with (
        serving(tmp_path / "pithead.log", workers=1, PITHEAD_TRUSTED_PROXIES="1") as (_, pithead),
        nginx_before(pithead, tmp_path) as gateway,
    ):
        yield gateway


def ask(gateway, path, secret=None, method="GET", source="127.0.0.1", **headers):
    client = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30, source_address=(source, 0))
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    try:
        client.request(method, path, headers=headers)
        answer = client.getresponse()
        return answer, answer.read().decode()
    finally:
        client.close()


def code(gateway, path, secret=None, **how):
    """Status and code of a refusal, which says so in each place where a client may look."""
    before = len(gateway.seen)
    answer, text = ask(gateway, path, secret, **how)
    problem = json.loads(text)
    assert len(gateway.seen) == before, "the service got a request that was refused"
    assert answer.getheader("Content-Type") == problems.CONTENT_TYPE
    assert answer.status == problem["status"] == problems.CODES[problem["code"]].status
    assert answer.getheader("X-Pithead-Code") == problem["code"]
    assert problem["request_id"].startswith("req_")
    assert answer.getheader("Cache-Control") == "no-store"
    challenges = answer.headers.get_all("WWW-Authenticate", [])
    assert len(challenges) == (answer.status == 401 or problem["code"] == "permission_denied"), challenges
    assert (answer.getheader("Retry-After") is not None) == (answer.status in (429, 503))
    return answer.status, problem["code"]


def test_every_decision_reaches_the_client_and_only_what_may_pass_the_service(
    gateway, account, other_account, issue_key
):
    miner = MinerFactory(account=account)
    key, secret = issue_key("viewer", [f"*:miners/{miner.pk}"], rate_limit=600)
    secrets = {
        "wrong_environment": issue_key("viewer", environment="staging", name="staging")[1],
        "permission_denied": issue_key("accountant")[1],
        "address_not_allowed": issue_key("viewer", name="elsewhere", allowed_cidrs=["192.0.2.0/24"])[1],
        "account_suspended": issue_key("viewer", account=other_account)[1],
    }
    Account.objects.filter(pk=other_account.pk).update(suspended_at=timezone.now())
    for change in ("key_revoked", "key_expired", "key_disabled", "rate_limited"):
        changed, secrets[change] = issue_key("viewer", name=change, rate_limit=1)
        match change:
            case "key_revoked":
                lifecycle.revoke(changed, actor=COMMAND, reason="other")
            case "key_disabled":
                lifecycle.disable(changed, actor=COMMAND)
            case "key_expired":
                ApiKey.objects.filter(pk=changed.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    questions = {name: ("/statistics/today", secret) for name, secret in secrets.items()}
    questions["missing_credentials"] = ("/statistics/today", None)
    questions["invalid_key"] = ("/statistics/today", key_format.generate("production", prefix="ph").text)
    questions["not_found"] = (f"/miners/{uuid7()}/hashrate", secret)
    assert set(questions) == set(REFUSALS)

    answer, _ = ask(gateway, "/statistics/today", secrets["rate_limited"])
    assert (answer.status, answer.getheader("RateLimit-Policy")) == (200, '"minute";q=1;w=60')
    answers = {name: code(gateway, *question)[1] for name, question in questions.items()}
    assert answers == {name: name for name in questions}
    answer, _ = ask(gateway, "/statistics/today", secrets["rate_limited"])
    assert int(answer.getheader("Retry-After")) > 0
    assert answer.getheader("RateLimit").startswith('"minute";r=0')
    answer, _ = ask(gateway, "/statistics/today", secrets["permission_denied"])
    assert 'error="insufficient_scope"' in answer.getheader("WWW-Authenticate")
    assert code(gateway, "/statistics/today", secret[:-1] + "~") == (401, "invalid_key")
    assert code(gateway, f"/miners/{MinerFactory().pk}/hashrate", secret) == (404, "not_found")
    assert code(gateway, f"/miners/{miner.pk}/workers/7", secret, method="POST") == (403, "permission_denied")
    assert code(gateway, "/forgotten/", secret) == (403, "permission_denied")

    # And what may pass does, from the next request on or until the next one.
    entity = f"/miners/{miner.pk}/hashrate"
    for path, method in ((entity, "GET"), (f"/miners/{miner.pk}/workers", "GET"), ("/statistics/x?y=%2F", "POST")):
        assert ask(gateway, path, secret, method=method)[0].status == 200
        assert gateway.seen[-1] == (method, path)
    assert ask(gateway, "/statistics/today", secret, method="HEAD")[0].status == 200
    # A secret in the address is refused, though nginx asks without it.
    exposed = f"/statistics/today?api_key={secrets['permission_denied']}"
    assert code(gateway, exposed, secret) == (400, "invalid_request")
    assert ask(gateway, "/statistics/broken", secret)[0].status == 500, "the service's own answer"
    lifecycle.disable(key, actor=COMMAND)
    assert code(gateway, entity, secret) == (401, "key_disabled")
    lifecycle.enable(key, actor=COMMAND)
    assert ask(gateway, entity, secret)[0].status == 200
    lifecycle.revoke(key, actor=COMMAND, reason="other")
    assert code(gateway, entity, secret) == (401, "key_revoked")


def test_what_a_client_says_of_itself_counts_for_nothing(gateway, account, issue_key):
    miner, foreign = MinerFactory(account=account), MinerFactory()
    key, secret = issue_key("viewer", [f"*:miners/{miner.pk}"], rate_limit=600)
    _, accountant = issue_key("accountant")
    _, staging = issue_key("viewer", environment="staging", name="staging")
    _, elsewhere = issue_key("viewer", name="elsewhere", allowed_cidrs=["127.0.0.2/32"])
    mine, others = f"/miners/{miner.pk}/hashrate", f"/miners/{foreign.pk}/hashrate"
    today = "/statistics/today"

    for name in ("X-Pithead-{}", "x-pithead-{}", "X_Pithead_{}"):
        forged = {name.format(each): value for each, value in FORGED.items()}
        forged[name.format("Entity")] = str(miner.pk)
        assert code(gateway, today, accountant, **forged) == (403, "permission_denied")
        assert code(gateway, today, staging, **forged) == (401, "wrong_environment")
        assert code(gateway, others, secret, **forged) == (404, "not_found")
        # The service learns what Pithead says, and nothing under these names besides.
        answer, text = ask(gateway, today, secret, **forged)
        seen = {name: value for name, value in json.loads(text).items() if "pithead" in name}
        assert answer.status == 200
        assert seen == {
            "x-pithead-key-id": key.key_id,
            "x-pithead-account": "northfold",
            "x-pithead-level": "viewer",
        }
        assert "authorization" not in json.loads(text)
        assert secret not in text

    # Its address is the one that it speaks from.
    for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X_Forwarded_For"):
        value = "for=127.0.0.2" if name == "Forwarded" else "127.0.0.2"
        assert code(gateway, today, elsewhere, **{name: value}) == (403, "address_not_allowed")
    assert ask(gateway, today, elsewhere, source="127.0.0.2")[0].status == 200
    assert ask(gateway, today, elsewhere, source="127.0.0.2", **{"X-Forwarded-For": "192.0.2.1"})[0].status == 200

    # It can take away none of the gateway's headers either.
    for name in ("X-Pithead-Entity", "X-Pithead-Permission", "X-Pithead-Environment", "Authorization"):
        assert code(gateway, others, secret, Connection=f"close, {name}") == (404, "not_found")
        assert code(gateway, today, staging, Connection=f"close, {name}") == (401, "wrong_environment")
    # The question itself is the gateway's to ask.
    assert ask(gateway, "/_pithead", secret)[0].status == 404

    # A path that nginx and a service may read differently is nobody's.
    before = len(gateway.seen)
    for path in (
        f"/miners/{foreign.pk}/hashrate/../../{miner.pk}/hashrate",
        f"/miners/{foreign.pk}%2fhashrate/..%2f..%2f{miner.pk}/hashrate",
        f"/miners/{foreign.pk}/hashrate/%2e%2e/%2e%2e/{miner.pk}/hashrate",
        f"/miners/{miner.pk}/workers/..%5c..%5c{foreign.pk}/workers",
        "/statistics/../forgotten/",
        "//statistics/today",
        "/statistics/.",
    ):
        assert ask(gateway, path, secret)[0].status == 400, path
    assert len(gateway.seen) == before
    assert ask(gateway, f"{mine}?back=/a/../b%2Fc//", secret)[0].status == 200


FORGED = {
    "Permission": "payouts:read",
    "Environment": "staging",
    "Key-Id": "key_x",
    "Account": "borealis",
    "Level": "administrator",
    "Code": "allowed",
}


def test_the_gateways_own_log_keeps_no_key(gateway, account, issue_key):
    key, secret = issue_key("viewer")
    encoded = secret.replace("_", "%5F")
    for path in (f"/statistics/?key={secret}", f"/statistics/{secret}", f"/nowhere/{encoded}?a=%2F", f"/{encoded}%2e"):
        assert ask(gateway, path, secret)[0].status in (400, 404)
    letters = "".join(f"%{ord(letter):02x}" for letter in secret[:8])
    assert ask(gateway, f"/statistics/{letters}{secret[8:]}", secret)[0].status == 400
    ask(gateway, "/statistics/today?of=2026", secret, Referer=f"https://pool.example/?key={secret}")
    for _ in range(100):  # nginx writes a line after the answer
        log = gateway.log.read_text()
        if "/statistics/today?of=2026" in log:
            break
        time.sleep(0.1)
    assert log.count("(an API key in the address)") == 5
    assert '"GET /statistics/today?of=2026 HTTP/1.1" 200' in log
    assert key.key_id in log
    assert secret[20:63] not in log


def test_a_database_that_is_gone_lets_nobody_pass_and_says_when_to_try_again(tmp_path, issue_key):
    _, secret = issue_key("viewer")
    nowhere = f"postgres://postgres@127.0.0.1:{free_port()}/nowhere"
    with (
        serving(tmp_path / "pithead.log", workers=1, PITHEAD_TRUSTED_PROXIES="1", DATABASE_URL=nowhere) as (_, port),
        nginx_before(port, tmp_path) as gateway,
    ):
        assert code(gateway, "/statistics/today", secret) == (503, "unavailable")
        assert code(gateway, "/statistics/today", "mistyped") == (503, "unavailable")


def test_without_pithead_nobody_passes(tmp_path):
    secret = key_format.generate("production", prefix="ph").text
    with nginx_before(free_port(), tmp_path) as gateway:
        answer, text = ask(gateway, "/statistics/today", secret)
        assert (answer.status, json.loads(text)["code"]) == (503, "unavailable")
        assert int(answer.getheader("Retry-After")) > 0
        assert gateway.seen == []
