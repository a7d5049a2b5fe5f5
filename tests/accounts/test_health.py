import pytest
from django.conf import settings
from django.db import OperationalError, connection


def test_healthz_answers_anybody_and_asks_no_database(client):
    # Without the `db` mark: a query would fail the test.
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.content == b"ok"
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_readyz_answers_anybody_while_the_database_does(client):
    answer = client.get("/readyz")
    assert answer.status_code == 200
    limits = "shared" if settings.REDIS_URL else "per process"
    assert answer.json() == {"status": "ok", "database": "ok", "rate_limits": limits}


@pytest.mark.django_db
def test_readyz_says_503_when_the_database_is_gone(client, monkeypatch):
    def refuse(*args, **kwargs):
        raise OperationalError("connection refused")

    monkeypatch.setattr(connection, "cursor", refuse)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"] == "unavailable"
    assert int(answer["Retry-After"]) > 0
    assert b"refused" not in answer.content
