"""A canary secret in the query, the path, a form and the referrer of a real server: nothing that it writes holds it."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlencode

import pytest
from django.db import connection

from accounts.models import AuditEvent
from apikeys.models import RequestLog
from tests.security.live_server import serving

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]


def send(port, method, path, body=None, **headers):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        client.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = client.getresponse()
        answer.read()
        return answer.status
    finally:
        client.close()


def everything_stored():
    """Every row of every table, as text."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 names from the catalogue
            yield from map(repr, cursor.fetchall())


FORM = {"Content_Type": "application/x-www-form-urlencoded"}


def programs(secret):
    """What programs send, and its status."""
    right = {"Authorization": f"Bearer {secret}"}
    miners = "/api/v1/miners"
    return [
        (400, "GET", f"{miners}?key={secret}", None, {}),
        (400, "GET", f"{miners}?key={secret}", None, right),
        (400, "GET", f"{miners}?key=" + secret.replace("_", "%5F"), None, {}),
        (400, "GET", f"{miners}/{secret}", None, right),
        (400, "POST", miners, urlencode({"account_name": secret}), right | FORM),
        (400, "POST", miners, urlencode({"api_key": secret}), FORM),
        (400, "POST", miners, json.dumps({"api_key": secret}), {"Content_Type": "application/json"}),
        (403, "GET", f"/gateway/verify/{secret}", None, {}),
        (403, "GET", "/gateway/verify", None, {"X_Original_URI": f"/x?key={secret}"}),
        (200, "GET", "/api/v1/key", None, right | {"Referer": f"https://pool.example/?key={secret}"}),
    ]


def browsers(secret):
    return [
        (400, "GET", f"/?key={secret}", None, {"Referer": f"https://pool.example/?key={secret}"}),
        (400, "GET", f"/nowhere/{secret}", None, {}),
        (403, "POST", "/report-leak/", urlencode({"found": "x", "note": secret}), FORM),  # without CSRF's token
        (200, "GET", "/report-leak/", None, {"Referer": f"https://pool.example/{secret}", "User_Agent": secret}),
    ]


@pytest.mark.parametrize(
    ("requests", "debug"),
    [(programs, "False"), (browsers, "True")],  # pages of production need their files collected
)
def test_no_log_holds_it_not_even_the_servers_own(tmp_path, issue_key, requests, debug):
    _, secret = issue_key("administrator")
    # As an operator might have it: the server's own access log, which writes the address and the referrer.
    options = ["--config", "deploy/gunicorn.conf.py", "--access-logfile", "-", "--log-level", "debug"]
    variables = {"PITHEAD_REQUEST_LOG_SECONDS": "0.05", "EMAIL_URL": "consolemail://", "LOG_LEVEL": "DEBUG"}
    with serving(tmp_path / "log", *options, workers=1, DEBUG=debug, **variables) as (_, port):
        for status, method, path, body, headers in requests(secret):
            assert send(port, method, path, body, **headers) == status, path
    log = (tmp_path / "log").read_text()
    assert "?key=ph_[redacted] HTTP/1.1" in log, "the access log is written"
    assert "https://pool.example/?key=ph_[redacted]" in log
    assert AuditEvent.objects.filter(action="key.exposed").count() == 1
    assert RequestLog.objects.exists() == (requests is programs)
    for sink in [log, *everything_stored()]:
        assert secret not in sink
        assert secret[20:63] not in sink
