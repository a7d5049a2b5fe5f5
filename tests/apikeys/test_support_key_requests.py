"""Requests with support keys: Argon2 once and then no more, the database's word on each, and nothing for guesses."""

from __future__ import annotations

import socket
import string
import time
from threading import BoundedSemaphore

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as examples

from accounts.models import Account
from apikeys import key_format, lifecycle, rate_limits, registered, request_log, signing, support_keys
from apikeys.models import ApiKey, ApiKeySecret, RequestLog
from tests.apikeys.test_authentication import anonymous, known_but_wrong
from tests.conftest import COMMAND
from tests.factories import MinerFactory

OLD = "nf-7Kd93jsLq02x-Export"
ROUTE = "/api/v1/key"
CLIENT = Client()  # one for all: each loads the middleware anew


@pytest.fixture
def miner(account):
    return MinerFactory(account=account)


@pytest.fixture
def key(register_key, miner):
    return register_key(OLD, [miner])


@pytest.fixture
def verified(monkeypatch, key):
    """The strings that Argon2 was asked about, since the key was registered."""
    asked = []
    real = Argon2PasswordHasher.verify
    monkeypatch.setattr(
        Argon2PasswordHasher, "verify", lambda self, text, encoded: asked.append(text) or real(self, text, encoded)
    )
    return asked


@pytest.fixture(autouse=True)
def fresh_limits():
    rate_limits.start_anew()
    yield
    rate_limits.start_anew()


def code(answer):
    return answer.json().get("code")


# What one request costs


def test_the_first_use_costs_one_argon2_verification_and_later_ones_none(key, verified, api):
    assert api(OLD).get(ROUTE).status_code == 200
    assert verified == [OLD]
    for _ in range(5):
        assert api(OLD).get(ROUTE).status_code == 200
    assert verified == [OLD]


def test_another_process_takes_the_first_one_s_word_where_there_is_redis(key, verified, api, settings):
    api(OLD).get(ROUTE)
    registered.start_anew()
    assert api(OLD).get(ROUTE).status_code == 200
    assert verified == ([OLD] if settings.REDIS_URL else [OLD, OLD])


def test_after_a_while_it_is_verified_again(key, verified, api, settings):
    settings.PITHEAD_SUPPORT_KEY_SECONDS = 1
    api(OLD).get(ROUTE)
    time.sleep(1.1)
    assert api(OLD).get(ROUTE).status_code == 200
    assert verified == [OLD, OLD]


@pytest.mark.django_db(transaction=True)
def test_authentication_is_one_select_once_a_process_knows_the_key_of_lookups(key, api):
    api(OLD).get(ROUTE)
    with CaptureQueriesContext(connection) as captured:
        assert api(OLD).get(ROUTE).status_code == 200
    assert len(captured) == 2  # the grant, and the scopes that this route shows
    with CaptureQueriesContext(connection) as captured:
        assert code(api(OLD + "x").get(ROUTE)) == "invalid_key"
    assert len(captured) == 1


@pytest.mark.parametrize("text", [OLD + "x", OLD[:-1], OLD[:8] + "something-else", OLD.swapcase(), "a-password-or-so"])
def test_a_string_that_is_none_never_reaches_argon2(key, verified, api, text):
    assert code(api(text).get(ROUTE)) == "invalid_key"
    assert verified == []


def test_where_none_was_ever_registered_a_string_costs_one_select(account, api, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert code(api(OLD).get(ROUTE)) == "invalid_key"


def test_of_strings_that_share_a_lookup_each_opens_its_own_key(monkeypatch, key, register_key, miner, api):
    monkeypatch.setattr(registered, "_lookup", lambda key, foreign: b"abc")
    ApiKeySecret.objects.update(lookup=b"abc")
    other = register_key("another-old-key-0001", [miner])
    for text, made in [(OLD, key), ("another-old-key-0001", other), (OLD, key)]:
        assert api(text).get(ROUTE).json()["id"] == made.key_id
    assert code(api("a-third-old-key-0001").get(ROUTE)) == "invalid_key"


def test_where_too_many_wait_to_be_verified_the_answer_is_503_and_no_guess(key, api, monkeypatch):
    monkeypatch.setattr(registered, "_turns", BoundedSemaphore(1))
    monkeypatch.setattr(registered, "WAIT_SECONDS", 0.01)
    with registered._turns:
        answer = api(OLD).get(ROUTE)
    assert (answer.status_code, code(answer)) == (503, "unavailable")
    assert answer["Retry-After"]
    assert api(OLD).get(ROUTE).status_code == 200


# The answer


@pytest.mark.parametrize("text", [OLD + "x", OLD[:8] + "0123456789", "x" * 16, "~" * 512])
def test_a_wrong_string_is_answered_as_a_wrong_secret_is_byte_for_byte(key, issue_key, api, text):
    _, secret = issue_key()
    expected = anonymous(api(known_but_wrong(secret)).get(ROUTE))
    assert anonymous(api(text).get(ROUTE)) == expected


def test_a_damaged_row_opens_nothing(key, api):
    for damage in ("argon2$argon2id$", "argon2$argon2id$v=19$m=8,t=1,p=1$x$y", "md5$x$y", "nonsense"):
        ApiKeySecret.objects.update(argon2=damage)
        assert code(api(OLD).get(ROUTE)) == "invalid_key"


def test_the_same_rules_judge_it(key, api):
    assert code(api(OLD).get("/staging/api/v1/key")) == "wrong_environment"
    ApiKey.every.update(allowed_cidrs=["192.0.2.0/24"])
    assert code(api(OLD).get(ROUTE)) == "address_not_allowed"
    ApiKey.every.update(allowed_cidrs=[], expires_at=timezone.now())
    assert code(api(OLD).get(ROUTE)) == "key_expired"
    ApiKey.every.update(expires_at=None)
    Account.objects.update(suspended_at=timezone.now())
    assert code(api(OLD).get(ROUTE)) == "account_suspended"


def test_its_use_is_logged_counted_and_limited(key, api, miner):
    request_log._writer.start_anew()  # of other tests, whose keys are gone
    Account.objects.update(default_rate_limit=2)
    assert [api(OLD).get("/api/v1/miners").status_code for _ in range(3)] == [200, 200, 429]
    request_log.flush()
    assert set(RequestLog.objects.values_list("key", "code")) == {(key.pk, ""), (key.pk, "rate_limited")}
    assert ApiKeySecret.objects.get().last_used_at is not None


# Stopping


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (lambda key: lifecycle.revoke(key, actor=COMMAND, reason="leaked"), "key_revoked"),
        (lambda key: lifecycle.disable(key, actor=COMMAND), "key_disabled"),
        (lambda key: lifecycle.regenerate(key, actor=COMMAND), "key_revoked"),
        (lambda key: signing.retire(signing.current_signing_key(key.account), actor=COMMAND), "key_revoked"),
    ],
    ids=["revoked", "disabled", "regenerated", "signing key retired"],
)
def test_what_stops_it_holds_from_the_next_request_and_nothing_is_remembered(
    key, api, stop, expected, django_capture_on_commit_callbacks
):
    assert api(OLD).get(ROUTE).status_code == 200
    secret = key.secrets.get()
    assert remembered(secret)
    with django_capture_on_commit_callbacks(execute=True):
        stop(key)
    assert not remembered(secret)
    for _ in range(2):
        answer = api(OLD).get(ROUTE)
        assert (answer.status_code, code(answer)) == (401, expected)


def remembered(secret):
    name = registered._name(secret.pk)
    return registered._kept(lambda redis: redis.get(name), lambda own: own.get(name))


def test_it_may_end_itself(key, api):
    assert api(OLD).post(f"{ROUTE}/revoke").status_code == 200
    assert code(api(OLD).get(ROUTE)) == "key_revoked"


def test_another_process_that_remembers_it_refuses_it_too(key, api):
    """What is remembered says that the string is right, never that the key still opens anything."""
    assert api(OLD).get(ROUTE).status_code == 200
    ApiKey.every.update(revoked_at=timezone.now())  # by another process
    assert remembered(key.secrets.get())
    assert code(api(OLD).get(ROUTE)) == "key_revoked"


def test_a_panic_says_how_many_support_keys_it_stopped(key, issue_key, account):
    issue_key()
    version = signing.current_signing_key(account)
    [shown] = signing.versions(account)
    assert (shown.live_keys, shown.live_secrets) == (1, 1)  # what owners see
    assert signing.retire(version, actor=COMMAND) == 2
    data = account.audit_events.get(action="signing_key.retired").data
    assert (data["keys_stopped"], data["support_keys_stopped"]) == (1, 1)


# Redis goes away


@pytest.mark.parametrize("hangs", [True, False])
def test_without_redis_nothing_fails_and_nobody_waits_twice(key, verified, api, settings, monkeypatch, hangs):
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        if not hangs:
            silent.close()
        rate_limits.start_anew()
        assert api(OLD).get(ROUTE).status_code == 200
        redis = rate_limits.redis_and_breaker()
        assert redis.broken
        monkeypatch.setattr(redis.shared.client, "get", None)  # whoever asked it now would crash
        assert api(OLD).get(ROUTE).status_code == 200
        assert verified == [OLD]
        assert code(api(OLD + "x").get(ROUTE)) == "invalid_key"
        lifecycle.revoke(key, actor=COMMAND, reason="leaked")
        assert code(api(OLD).get(ROUTE)) == "key_revoked"


# Odd strings (TRAPS 3)

PRINTABLE = "".join(chr(number) for number in range(0x20, 0x7F))


@examples(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    strategies.one_of(
        strategies.text(alphabet=PRINTABLE, min_size=0, max_size=40),
        strategies.text(alphabet=PRINTABLE, min_size=500, max_size=520),
        strategies.text(alphabet=strategies.characters(max_codepoint=0xFF), min_size=14, max_size=40),
        strategies.text(alphabet=string.ascii_letters, max_size=20).map(lambda text: "ph_live_" + text),
        strategies.text(min_size=14, max_size=30),
    )
)
def test_no_string_is_answered_by_anything_but_a_refusal(key, text):
    answer = CLIENT.get(ROUTE, HTTP_AUTHORIZATION=f"Bearer {text}")
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")


@examples(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strategies.text(alphabet=PRINTABLE, min_size=16, max_size=60))
def test_whatever_can_be_registered_opens_its_key(register_key, miner, api, text):
    try:
        support_keys.check_text(text)
    except support_keys.Refused:
        return
    if support_keys.find_registered(text) is None:
        register_key(text, [miner])
    assert api(text).get(ROUTE).status_code == 200


# The format


def test_what_begins_as_a_key_of_ours_is_never_looked_up(key, api, django_assert_num_queries):
    texts = ["ph_0123456789abcdef", f"ph_{OLD}", key_format.generate("staging", prefix="ph").text[:-1] + "é"]
    with django_assert_num_queries(0):
        for text in texts:
            assert code(api(text).get(ROUTE)) == "invalid_key"


def test_a_string_s_text_is_in_no_repr():
    assert OLD not in repr(key_format.read(OLD, prefix="ph"))


def test_who_holds_a_support_key_is_sent_to_support_and_not_to_owners_who_don_t_see_it(key, api):
    key = lifecycle.disable(key, actor=COMMAND)
    assert "The pool's support can switch it on again." in api(OLD).get(ROUTE).json()["detail"]
    lifecycle.revoke(key, actor=COMMAND, reason="other", note="Replaced")
    assert "Ask the pool's support for a new one." in api(OLD).get(ROUTE).json()["detail"]
