"""The database goes away, for real: requests are answered 503 and "try again", and go on when it is back."""

from __future__ import annotations

import os
import socket
import time
from contextlib import contextmanager

import pytest
from django.db import OperationalError, close_old_connections, connection, connections, transaction
from rest_framework.test import APIClient

from apikeys import grants, key_format
from apikeys.grants import load_grant

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

POSTGRESQL = connection.vendor == "postgresql"
KEEP_ALIVE = ("TCP_USER_TIMEOUT", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@contextmanager
def no_database():
    """Every connection made in here leads nowhere."""
    settings = connection.settings_dict
    before = dict(settings)

    def forget():
        connections.close_all()
        if POSTGRESQL:
            connection.close_pool()

    forget()
    settings.update(
        {"HOST": "127.0.0.1", "PORT": unused_port()} if POSTGRESQL else {"NAME": "/nowhere/pithead.sqlite3"}
    )
    try:
        yield
    finally:
        forget()
        settings.update(before)


def client_of(secret):
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


def assert_unavailable(answer):
    assert answer.status_code == 503, answer.content
    assert answer.json()["code"] == "unavailable"
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Retry-After"] == "3"
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Request-Id"] == answer.json()["request_id"]
    assert "WWW-Authenticate" not in answer


def test_without_a_database_nobody_is_let_in_and_everybody_told_to_try_again(issue_key):
    _, secret = issue_key()
    good, unknown = client_of(secret), client_of(key_format.generate("production", prefix="ph").text)
    assert good.get("/api/v1/key").status_code == 200
    with no_database():
        for client in (good, unknown):
            began = time.monotonic()
            assert_unavailable(client.get("/api/v1/key"))
            assert time.monotonic() - began < 3.5
        typo = client_of(secret[:-1])
        assert typo.get("/api/v1/key").json()["code"] == "invalid_key", "what is no key needs no database"
    assert good.get("/api/v1/key").status_code == 200
    assert unknown.get("/api/v1/key").status_code == 401


def cut_every_connection():
    """As a restart of the server does: ours are all closed under our hands."""
    import psycopg

    settings = connection.settings_dict
    names = {"dbname": "NAME", "host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    params = {name: settings[field] for name, field in names.items() if settings[field]}
    with psycopg.connect(**params, autocommit=True) as outside:
        outside.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


needs_connections = pytest.mark.skipif(not POSTGRESQL, reason="an embedded database has no connections to cut")


@pytest.fixture
def end_connections():
    yield
    connection.close()
    connection.close_pool()


@needs_connections
@pytest.mark.parametrize("path", ["/api/v1/key", "/gateway/verify"])
def test_a_cut_connection_costs_a_request_with_a_key_nothing(issue_key, end_connections, path):
    _, secret = issue_key()
    client = client_of(secret)
    asked = {"HTTP_X_PITHEAD_PERMISSION": "stats:read"}
    assert client.get(path, **asked).status_code == 200
    before = connection.connection.info.backend_pid
    for _ in range(3):
        cut_every_connection()
        assert client.get(path, **asked).status_code == 200
        assert connection.connection.info.backend_pid != before, "nothing was cut"
        before = connection.connection.info.backend_pid


@needs_connections
def test_a_cut_connection_costs_a_page_nothing(owner, account, sign_in_as, end_connections):
    browser = sign_in_as(owner)
    page = f"/a/{account.slug}/access/api-keys/"
    assert browser.get(page).status_code == 200
    cut_every_connection()
    close_old_connections()  # as at the beginning of each request of a real server
    assert browser.get(page).status_code == 200


def load_grant_after_a_cut(selector):
    assert load_grant(selector) is not None
    cut_every_connection()
    load_grant(selector)


@needs_connections
def test_within_a_transaction_nothing_is_asked_twice(issue_key, end_connections):
    """What the transaction wrote is lost: it must not go on as if nothing had happened."""
    selector = issue_key()[0].secrets.get().selector
    with pytest.raises(OperationalError), transaction.atomic():
        load_grant_after_a_cut(selector)


def test_an_error_of_a_connection_that_works_is_not_tried_again(issue_key, monkeypatch):
    selector, tried = issue_key()[0].secrets.get().selector, []
    assert load_grant(selector) is not None

    def locked(*args):
        tried.append(args)
        raise OperationalError("database is locked")

    monkeypatch.setattr(grants, "_fetch", locked)
    with pytest.raises(OperationalError):
        load_grant(selector)
    assert len(tried) == 1


@pytest.mark.skipif(not POSTGRESQL, reason="SQLite is a file")
def test_a_server_that_vanishes_without_a_word_is_not_waited_for_long():
    connection.ensure_connection()
    with socket.socket(fileno=os.dup(connection.connection.fileno())) as line:
        option = {name: line.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in KEEP_ALIVE}
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert option["TCP_USER_TIMEOUT"] == 3_000  # ms, until what was sent must have arrived
    waits = option["TCP_KEEPIDLE"] + option["TCP_KEEPCNT"] * option["TCP_KEEPINTVL"]
    assert waits == 20  # seconds, for an answer to what did arrive
