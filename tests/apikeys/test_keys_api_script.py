"""docs/ensure_key.py, run against the real server."""

from __future__ import annotations

import http.client
import os
import stat
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from django.conf import settings
from django.utils import timezone

from apikeys.models import ApiKey, ApiKeySecret
from tests.apikeys.managers import make_manager
from tests.security.live_server import ask, serving

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

SCRIPT = settings.BASE_DIR / "docs" / "ensure_key.py"


@pytest.fixture(scope="module")
def port(django_db_setup, tmp_path_factory):
    log = tmp_path_factory.mktemp("server") / "log"
    with serving(log, workers=1, PITHEAD_REQUEST_LOG_SECONDS="3600") as (_, port):
        yield port


@pytest.fixture
def ensure(port, account, tmp_path):
    """``ensure("viewer", "*:*")`` → what the script did, and what its file holds."""
    manager = tmp_path / "manager"
    manager.write_text(make_manager(account)[1] + "\n")
    environment = {**os.environ, "PITHEAD_MANAGER_FILE": str(manager)}
    file = tmp_path / "dashboard.key"

    def run(level="viewer", *scopes, through=port):
        command = [sys.executable, str(SCRIPT), str(file), "Dashboard", level, *(scopes or ("read:*",))]
        address = {"PITHEAD_API": f"http://127.0.0.1:{through}/api/v1"}
        done = subprocess.run(command, env=environment | address, capture_output=True, text=True, timeout=60)
        return done, file.read_text().strip() if file.exists() else ""

    run.file = file
    return run


def test_the_key_is_made_once_and_its_secret_is_in_a_file_for_its_owner_alone(ensure, port):
    done, secret = ensure()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert ask(port, secret)[0] == 200
    assert stat.S_IMODE(ensure.file.stat().st_mode) == 0o600
    assert ensure()[1] == secret
    key = ApiKey.objects.get(name="Dashboard")
    assert (key.access_level, [str(row) for row in key.scopes.all()]) == ("viewer", ["read:*"])
    assert key.secrets.count() == 1


def test_after_a_month_it_is_rotated_and_both_secrets_work(ensure, port):
    _, old = ensure()
    ApiKeySecret.objects.filter(key__name="Dashboard").update(
        created_at=ApiKeySecret.objects.get(key__name="Dashboard").created_at - timedelta(days=31)
    )
    done, new = ensure()
    assert done.returncode == 0, done.stderr
    assert new != old
    assert [ask(port, secret)[0] for secret in (old, new)] == [200, 200]
    assert ensure()[1] == new


def test_a_lost_file_gets_a_new_secret_and_the_lost_one_stops(ensure, port):
    _, old = ensure()
    ensure.file.unlink()
    _, new = ensure()
    assert [ask(port, secret)[0] for secret in (old, new)] == [401, 200]
    assert ApiKey.objects.filter(name="Dashboard").count() == 1


def test_it_says_what_does_not_fit_and_changes_nothing(ensure):
    _, secret = ensure()
    done, after = ensure("viewer", "*:*")
    assert (done.returncode, after) == (1, secret)
    assert "another name" in done.stderr
    refused, _ = ensure("administrator")
    assert refused.returncode == 1


def test_what_the_manager_may_not_give_is_told(ensure):
    done, secret = ensure("administrator", "*:*")
    assert (done.returncode, secret) == (1, "")
    assert "Not within what the key that asks may give" in done.stderr


class Cutting(BaseHTTPRequestHandler):
    """Passes everything on to the real server, and loses half of the first ``server.cuts`` answers to a POST."""

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        onward = http.client.HTTPConnection("127.0.0.1", self.server.onward, timeout=30)
        onward.request(self.command, self.path, body, dict(self.headers))
        answer = onward.getresponse()
        content = answer.read()
        onward.close()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "POST" and self.server.cuts > 0:
            self.server.cuts -= 1
            content = content[: len(content) // 2]
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, format, *args):
        pass


@contextmanager
def cutting(port, cuts):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cutting)
    server.onward, server.cuts = port, cuts
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def test_an_answer_that_is_lost_half_way_costs_nothing(ensure, port):
    with cutting(port, 1) as line:
        done, secret = ensure(through=line)
    assert (done.returncode, done.stderr) == (0, "")
    assert ask(port, secret)[0] == 200
    key = ApiKey.objects.get(name="Dashboard")
    assert key.secrets.filter(retires_at=None).count() == 1, "the one that was lost works no more"


def test_a_line_that_loses_everything_is_told_and_the_next_run_mends_it(ensure, port):
    with cutting(port, 3) as line:
        done, secret = ensure(through=line)
    assert (done.returncode, secret) == (1, "")
    assert "Run this again." in done.stderr
    assert "Traceback" not in done.stderr
    done, secret = ensure()
    assert (done.returncode, ask(port, secret)[0]) == (0, 200)
    assert ApiKey.objects.filter(name="Dashboard").count() == 1


def test_a_key_that_is_switched_off_is_told_and_stays_so(ensure):
    _, secret = ensure()
    ApiKey.objects.filter(name="Dashboard").update(disabled_at=timezone.now())
    done, after = ensure()
    assert (done.returncode, after) == (1, secret)
    assert "Dashboard is disabled" in done.stderr
