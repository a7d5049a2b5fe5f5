"""No request that starts after a key was stopped gets in, on any of four processes (TRAPS 21)."""

from __future__ import annotations

import time

import pytest
from django.utils import timezone

from accounts.audit import Actor
from accounts.models import Account
from apikeys import lifecycle
from apikeys.models import ApiKey, SigningKey
from tests.security.live_server import asking, gunicorn

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

COMMAND = Actor.for_command("tests")
STOPS = {
    "revoked": (lambda key: lifecycle.revoke(key, actor=COMMAND, reason="leaked"), "key_revoked"),
    "disabled": (lambda key: lifecycle.disable(key, actor=COMMAND), "key_disabled"),
    "regenerated": (lambda key: lifecycle.regenerate(key, actor=COMMAND), "key_revoked"),
    "suspended": (lambda key: Account.objects.update(suspended_at=timezone.now()), "account_suspended"),
    "expired": (lambda key: ApiKey.objects.update(expires_at=timezone.now()), "key_expired"),
    "signing key retired": (lambda key: SigningKey.objects.update(retired_at=timezone.now()), "key_revoked"),
    "moved to other addresses": (
        lambda key: ApiKey.objects.update(allowed_cidrs=["203.0.113.0/24"]),
        "address_not_allowed",
    ),
}


@pytest.fixture(scope="module")
def port(django_db_setup, tmp_path_factory):
    with gunicorn(tmp_path_factory.mktemp("server") / "log") as port:
        yield port


@pytest.mark.parametrize("way", STOPS)
def test_no_request_that_starts_after_the_stop_is_let_in(port, issue_key, way):
    stop, code = STOPS[way]
    key, secret = issue_key()
    with asking(port, secret) as met:
        met.wait_for(50)
        stop(key)
        stopped = time.monotonic()
        met.wait_for(80, since=stopped)
    before = [status for start, status, _ in met.answers if start <= stopped]
    after = [(status, code in body) for start, status, body in met.answers if start > stopped]
    assert before.count(200) >= 50
    assert len(after) >= 80
    assert set(after) == {(403 if code == "address_not_allowed" else 401, True)}


def test_no_request_is_refused_before_the_stop_or_for_any_other_reason(port, issue_key):
    """Flicking a key off and on while it is used: 200 or key_disabled, and nothing else ever."""
    key, secret = issue_key()
    with asking(port, secret) as met:
        for _ in range(10):
            met.wait_for(len(met.answers) + 10)
            lifecycle.disable(key, actor=COMMAND)
            off = time.monotonic()
            met.wait_for(10, since=off)
            lifecycle.enable(key, actor=COMMAND)
    statuses = met.statuses()
    assert set(statuses) == {200, 401}
    assert all("key_disabled" in body for _, status, body in met.answers if status == 401)
