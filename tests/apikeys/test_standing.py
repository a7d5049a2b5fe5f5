"""A key's standing: each change holds from the very next request on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.audit import Actor
from accounts.models import Account
from apikeys import key_format, lifecycle
from apikeys.models import ApiKey, SigningKey

COMMAND = Actor.for_command("tests")
INVALID_TOKEN = 'Bearer realm="pithead", error="invalid_token"'
MOUNTS = {"production": "/api/v1/key", "staging": "/staging/api/v1/key", "development": "/development/api/v1/key"}


@pytest.fixture
def held(issue_key, api):
    """A key, and a client that presents it and has just been let in."""
    key, secret = issue_key()
    client = api(secret)
    assert client.get("/api/v1/key").status_code == 200
    return key, client


def assert_refused(client, status, code, *, path="/api/v1/key", challenge=INVALID_TOKEN, **extra):
    answer = client.get(path, **extra)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers.get("WWW-Authenticate") == challenge
    assert answer["Cache-Control"] == "no-store"
    assert answer["Content-Type"] == "application/problem+json"
    return answer.json()["detail"]


def test_a_revoked_key_is_refused_on_the_next_request(held):
    key, client = held
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    assert_refused(client, 401, "key_revoked")


def test_a_disabled_key_is_refused_on_the_next_request_and_an_enabled_one_let_in_again(held):
    key, client = held
    lifecycle.disable(key, actor=COMMAND)
    assert_refused(client, 401, "key_disabled")
    lifecycle.enable(key, actor=COMMAND)
    assert client.get("/api/v1/key").status_code == 200


def test_a_suspended_account_s_keys_are_refused_on_the_next_request(held):
    _, client = held
    Account.objects.update(suspended_at=timezone.now())
    assert_refused(client, 401, "account_suspended")
    Account.objects.update(suspended_at=None)
    assert client.get("/api/v1/key").status_code == 200


def test_a_regenerated_key_s_old_secret_is_refused_and_its_new_one_let_in(held, api):
    key, client = held
    new = lifecycle.regenerate(key, actor=COMMAND)
    assert "replaced" in assert_refused(client, 401, "key_revoked")
    assert api(new).get("/api/v1/key").status_code == 200


def test_a_retired_signing_key_revokes_every_secret_under_it(held):
    _, client = held
    SigningKey.objects.update(retired_at=timezone.now())
    assert_refused(client, 401, "key_revoked")


def test_a_key_works_to_the_last_microsecond_before_its_expiry_and_not_at_it(issue_key, api):
    end = datetime(2030, 1, 1, tzinfo=UTC)
    _, secret = issue_key(expires_at=end)
    client = api(secret)
    with time_machine.travel(end - timedelta(microseconds=1), tick=False):
        assert client.get("/api/v1/key").status_code == 200
    with time_machine.travel(end, tick=False):
        assert "2030-01-01 00:00 UTC" in assert_refused(client, 401, "key_expired")


@pytest.mark.parametrize("own", MOUNTS)
@pytest.mark.parametrize("asked", MOUNTS)
def test_a_key_opens_its_own_environment_s_endpoint_alone(issue_key, api, own, asked):
    _, secret = issue_key(environment=own)
    assert secret.split("_")[1] == key_format.ENVIRONMENT_TAGS[own]
    if own == asked:
        answer = api(secret).get(MOUNTS[asked])
        assert answer.status_code == 200
        assert answer.json()["environment"] == own
    else:
        detail = assert_refused(api(secret), 401, "wrong_environment", path=MOUNTS[asked])
        assert detail.endswith(f"Use http://127.0.0.1:8000{MOUNTS[own].removesuffix('key')}")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("203.0.113.5", True),
        ("::ffff:203.0.113.5", True),
        ("203.0.114.5", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("", False),
    ],
)
def test_a_key_is_let_in_from_its_addresses_alone(issue_key, api, address, allowed):
    _, secret = issue_key(allowed_cidrs=["203.0.113.0/24", "2001:db8::/32"])
    client = api(secret)
    if allowed:
        assert client.get("/api/v1/key", REMOTE_ADDR=address).status_code == 200
    else:
        detail = assert_refused(client, 403, "address_not_allowed", challenge=None, REMOTE_ADDR=address)
        assert (address or "unknown address") in detail


def test_a_forwarded_address_is_not_believed_without_a_proxy_of_ours(issue_key, api, settings):
    _, secret = issue_key(allowed_cidrs=["203.0.113.0/24"])
    spoofed = {"REMOTE_ADDR": "198.51.100.1", "HTTP_X_FORWARDED_FOR": "203.0.113.5"}
    assert_refused(api(secret), 403, "address_not_allowed", challenge=None, **spoofed)
    settings.PITHEAD_TRUSTED_PROXIES = 1
    assert api(secret).get("/api/v1/key", **spoofed).status_code == 200


def test_a_changed_address_list_holds_on_the_next_request(held):
    _, client = held
    ApiKey.objects.update(allowed_cidrs=["203.0.113.0/24"])
    assert_refused(client, 403, "address_not_allowed", challenge=None)


def test_a_key_s_standing_is_told_to_the_holder_of_the_right_secret_alone(held, api):
    key, client = held
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    secret = client._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    body = secret[:25] + ("A" if secret[25] != "A" else "B") + secret[26:-6]
    assert_refused(api(body + key_format.checksum(body)), 401, "invalid_key")


def test_every_other_key_of_the_account_goes_on(held, issue_key, api):
    key, _ = held
    _, other = issue_key()
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    assert api(other).get("/api/v1/key").status_code == 200


def test_a_key_with_an_expiry_is_told_it_in_a_header(issue_key, api):
    _, secret = issue_key(expires_at=datetime(2099, 12, 31, 23, 0, tzinfo=UTC))
    assert api(secret).get("/api/v1/key")["Pithead-Key-Expires"] == "2099-12-31T23:00:00Z"
    _, lasting = issue_key()
    assert "Pithead-Key-Expires" not in api(lasting).get("/api/v1/key")
