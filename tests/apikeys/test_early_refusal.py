"""The WSGI layer in front of Django refuses what is no key, and lets everything else through."""

from __future__ import annotations

import json
from io import BytesIO
from urllib.parse import unquote

import pytest
from django.core.signals import request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.test.client import FakePayload

from accounts.models import AuditEvent
from apikeys import key_format
from apikeys.early_refusal import EarlyRefusal


@pytest.fixture
def call():
    # As Django's test client does: the handler would close the connection that holds the test's transaction.
    request_started.disconnect(close_old_connections)
    yield _call
    request_started.connect(close_old_connections)


def _call(path: str, authorization: str | None = None, *, query: str = "") -> tuple[str, dict[str, str], bytes]:
    application = EarlyRefusal(get_wsgi_application())
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": FakePayload(b""),
        "wsgi.errors": BytesIO(),
    }
    if authorization is not None:
        environ["HTTP_AUTHORIZATION"] = authorization
    answer: list = []
    body = b"".join(application(environ, lambda status, headers, exc_info=None: answer.extend([status, headers])))
    return answer[0], dict(answer[1]), body


def mistype(secret: str) -> str:
    return secret[:-1] + ("A" if secret[-1] != "A" else "B")


def test_a_mistyped_key_gets_the_answer_of_a_wrong_secret_to_the_byte(call, issue_key, django_assert_num_queries):
    _, secret = issue_key()
    _, other = issue_key()
    with django_assert_num_queries(0):
        refused = call("/api/v1/key", f"Bearer {mistype(secret)}")
    assert refused[0] == "401 Unauthorized"
    # Right selector, another key's secret, and the checksum that fits.
    body = secret[:20] + other[20:-6]
    wrong = call("/api/v1/key", f"Bearer {body}{key_format.checksum(body)}")
    for status, headers, content in (refused, wrong):
        problem = json.loads(content)
        assert headers.pop("X-Request-Id") == problem["request_id"]
        assert (status, problem["code"]) == ("401 Unauthorized", "invalid_key")
    assert refused[1] == wrong[1]
    assert refused[2].replace(json.loads(refused[2])["request_id"].encode(), b"") == wrong[2].replace(
        json.loads(wrong[2])["request_id"].encode(), b""
    )


def test_a_right_key_goes_on_and_is_not_parsed_again(call, issue_key, monkeypatch):
    key, secret = issue_key()
    parsed = []
    real = key_format.parse
    monkeypatch.setattr("apikeys.key_format.parse", lambda *args, **kwargs: parsed.append(1) or real(*args, **kwargs))
    status, _, body = call("/api/v1/key", f"Bearer {secret}")
    assert (status, json.loads(body)["id"]) == ("200 OK", key.key_id)
    assert len(parsed) == 1


def test_no_header_and_other_paths_go_on(call, db):
    assert json.loads(call("/api/v1/key")[2])["code"] == "missing_credentials"
    assert call("/healthz", "Bearer nonsense")[0] == "200 OK"


@pytest.mark.parametrize("address", ["/api/v1/miners/{}", "/api/v1/miners?key={}", "/api/v1/miners?key%3D%2D{}"])
@pytest.mark.parametrize("underscore", ["_", "%5F", "%5f"])
def test_a_key_in_the_address_is_told_of_whatever_stands_in_the_header(call, issue_key, address, underscore):
    key, secret = issue_key()
    path, _, query = address.format(secret.replace("_", underscore)).partition("?")
    # Servers decode the path, and leave the query as it is.
    status, _, content = call(unquote(path), "Bearer mistyped", query=query)
    assert (status, json.loads(content)["code"]) == ("400 Bad Request", "invalid_request")
    assert AuditEvent.objects.filter(action="key.exposed", target_id=key.key_id).count() == 1
