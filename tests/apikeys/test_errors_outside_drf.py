"""Under the API's mounts an error that Django itself answers is a problem, too."""

from __future__ import annotations

import pytest
from django.test import Client

from apikeys import problems


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def test_a_crash_is_an_internal_error_with_a_request_id(client, issue_key, monkeypatch):
    _, secret = issue_key()

    def crash(*args: object, **kwargs: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("apikeys.api.whoami.WhoAmI.get", crash)
    answer = client.get("/api/v1/key", headers={"authorization": f"Bearer {secret}"})
    assert answer.status_code == 500
    assert answer["Content-Type"] == problems.CONTENT_TYPE
    assert answer.json()["code"] == "internal_error"
    assert answer.json()["request_id"] == answer["X-Request-Id"]
    assert "a bug" not in answer.content.decode()


def test_a_host_that_is_not_ours_is_an_invalid_request(client, db):
    answer = client.get("/api/v1/key", headers={"host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("status", [400, 403, 404, 413, 500, 502, 503])
def test_every_status_has_its_problem(status):
    problem = problems.for_status(status)
    assert problem.status_code in (status, 400 if status < 500 else 500)
