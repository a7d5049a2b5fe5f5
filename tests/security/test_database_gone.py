"""The database goes away, for real: requests are answered 503 and "try again", and go on when it is back."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager

import pytest
from django.db import connection, connections
from rest_framework.test import APIClient

from apikeys import key_format

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

POSTGRESQL = connection.vendor == "postgresql"


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


@pytest.mark.skipif(not POSTGRESQL, reason="an embedded database has no connections to cut")
def test_cut_connections_cost_one_answer_each_and_no_more(issue_key):
    _, secret = issue_key()
    client = client_of(secret)
    assert client.get("/api/v1/key").status_code == 200
    cut_every_connection()
    codes = []
    try:
        for _ in range(20):
            answer = client.get("/api/v1/key")
            codes.append(answer.status_code)
            if answer.status_code != 200:
                assert_unavailable(answer)
            connection.close()  # as at the end of each request of a real server
    finally:
        connection.close()
        connection.close_pool()
    assert codes[0] == 503, "nothing was cut"
    assert codes[-10:] == [200] * 10
