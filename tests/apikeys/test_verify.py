"""``POST /verify``: the gateway's question in JSON. The same verdicts, for keys that staff let ask."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import Account
from apikeys import authentication, key_format, lifecycle, registered, request_log
from apikeys.api.verify import REFUSALS
from apikeys.models import ApiKey, RequestLog
from tests.conftest import COMMAND
from tests.factories import HubClientFactory, HubFactory, MinerFactory

VERIFY = "/api/v1/verify"
OLD_KEY = "zq-7Kd93jsLq02x-Export"
UNKNOWN = dict.fromkeys(("key_id", "account", "environment", "access_level", "role"))
UNKNOWN |= {"permissions": None, "expires_at": None, "rate_limit": None}


@pytest.fixture
def caller(issue_key, make_role, other_account):
    """The secret of a service of the pool's: its key is of another account than those that it verifies."""
    role = make_role("verify:use", name="Verifier", account=other_account)
    return issue_key("custom", role=role, name="Statistics service", account=other_account)[1]


@pytest.fixture
def ask(api, caller):
    """``ask(secret, "stats:read", entity=…)`` → the verdict; ``ask.raw(body)`` → the whole answer."""

    def raw(body, path=VERIFY, secret=caller):
        return api(secret).post(path, body, format="json")

    def verdict(key, permission="stats:read", **fields):
        answer = raw({"key": key, "permission": permission, **fields})
        assert answer.status_code == 200, answer.content
        return answer.json()

    verdict.raw = raw
    return verdict


def test_a_key_that_may_pass_is_valid_and_the_service_learns_whose_it_is(ask, issue_key):
    ends = timezone.now().replace(microsecond=0) + timedelta(days=30)
    key, secret = issue_key("accountant", rate_limit=60, expires_at=ends)
    assert ask(secret, "payouts:read") == {
        "valid": True,
        "status": 200,
        "code": None,
        "detail": None,
        "key_id": key.key_id,
        "account": "northfold",
        "environment": "production",
        "access_level": "accountant",
        "role": None,
        "permissions": ["accruals:read", "balance:read", "entities:read", "payouts:read"],
        "expires_at": ends.isoformat().replace("+00:00", "Z"),
        "rate_limit": {"limit": 60, "remaining": 59, "reset": 1},
    }


def test_a_custom_role_is_named(ask, issue_key, make_role):
    _, secret = issue_key("custom", role=make_role("stats:read", name="Wallboard"))
    verdict = ask(secret)
    assert (verdict["access_level"], verdict["role"], verdict["permissions"]) == ("custom", "Wallboard", ["stats:read"])
    assert verdict["rate_limit"] is None


def test_every_denial_has_its_code_and_the_status_to_answer_with(ask, issue_key, account):
    met = set()

    def code(*question, **fields):
        verdict = ask(*question, **fields)
        assert verdict["valid"] is False
        assert verdict["detail"]
        met.add(verdict["code"])
        return verdict["status"], verdict["code"]

    key, secret = issue_key("viewer", allowed_cidrs=["203.0.113.0/24"], rate_limit=1)
    _, elsewhere = issue_key("viewer", environment="staging", name="staging")
    here = {"address": "203.0.113.5"}
    assert code(None) == (401, "missing_credentials")
    assert code("") == (401, "invalid_key")
    assert code(elsewhere) == (401, "wrong_environment")
    assert code(secret) == (403, "address_not_allowed")
    assert code(secret, address="198.51.100.7") == (403, "address_not_allowed")
    assert ask(secret, address="::ffff:203.0.113.5")["valid"] is True
    assert code(secret, **here) == (429, "rate_limited")
    ApiKey.objects.filter(pk=key.pk).update(rate_limit=None)
    assert code(secret, "payouts:read", **here) == (403, "permission_denied")
    assert code(secret, entity=str(uuid7()), **here) == (404, "not_found")
    Account.objects.filter(pk=account.pk).update(suspended_at=timezone.now())
    assert code(secret, **here) == (401, "account_suspended")
    Account.objects.filter(pk=account.pk).update(suspended_at=None)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert code(secret, **here) == (401, "key_expired")
    ApiKey.objects.filter(pk=key.pk).update(expires_at=None)
    lifecycle.disable(key, actor=COMMAND)
    assert code(secret, **here) == (401, "key_disabled")
    lifecycle.revoke(key, actor=COMMAND, reason="other")
    assert code(secret, **here) == (401, "key_revoked")
    assert met == set(REFUSALS)


def test_only_the_holder_of_the_right_secret_is_told_whose_key_it_is(ask, issue_key):
    key, secret = issue_key("viewer", rate_limit=60)
    lifecycle.revoke(key, actor=COMMAND, reason="other")
    assert ask(secret)["key_id"] == key.key_id
    # The selector is a real one, and the checksum right: only the secret is not.
    body = secret[: len("ph_live_") + key_format.SELECTOR_LENGTH] + "0" * key_format.SECRET_LENGTH
    wrong = body + key_format.checksum(body)
    answers = [ask(text) for text in (wrong, key_format.generate("production", prefix="ph").text, secret[:-1] + "~")]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0] == {
        "valid": False,
        "status": 401,
        "code": "invalid_key",
        "detail": "This is not a valid API key. Check that it was copied whole.",
        **UNKNOWN,
    }


@pytest.mark.parametrize("text", [" {}", "{} ", "Bearer {}", "{}\n", "\u0421{}", "{0} {0}", "{}\x7f"])
def test_a_secret_is_taken_as_it_is_or_not_at_all(ask, issue_key, text):
    _, secret = issue_key()
    assert ask(text.format(secret))["code"] == "invalid_key"


def test_an_entity_is_in_reach_or_not_found_like_one_that_is_not_there(ask, issue_key, account, other_account):
    mine, client = MinerFactory(account=account), MinerFactory(account=other_account)
    hub = HubFactory(account=account)
    served = HubClientFactory(hub=hub, miner__account=other_account).miner
    _, secret = issue_key("viewer", [f"*:miners/{mine.pk}", "*:hubs/*"])
    for reached in (mine.pk, str(mine.pk).upper(), hub.pk, served.pk):
        assert ask(secret, entity=str(reached))["valid"] is True
    twisted = [UUID(str(mine.pk)).hex, f"urn:uuid:{mine.pk}", f"{{{mine.pk}}}", f" {mine.pk}"]
    for out in (str(client.pk), str(uuid7()), "no-id", "", *twisted):
        assert ask(secret, entity=out)["code"] == "not_found", out
    assert ask(secret, entity=None)["valid"] is True


def test_a_support_key_is_verified_as_any(ask, register_key, account):
    miner = MinerFactory(account=account)
    key = register_key(OLD_KEY, [miner])
    verdict = ask(OLD_KEY, "hashrate:read", entity=str(miner.pk))
    assert (verdict["valid"], verdict["key_id"]) == (True, key.key_id)
    assert ask(OLD_KEY + "x")["code"] == "invalid_key"


def test_each_environment_has_its_endpoint(ask, issue_key, make_role, account):
    role = make_role("verify:use", name="Verifier")
    _, caller = issue_key("custom", role=role, environment="staging", name="caller")
    _, secret = issue_key("viewer", environment="staging", name="verified")
    question = {"key": secret, "permission": "stats:read"}
    assert ask.raw(question, "/staging/api/v1/verify", caller).json()["valid"] is True
    assert ask.raw(question, "/api/v1/verify", caller).json()["code"] == "wrong_environment"
    assert ask.raw(question, "/api/v1/verify").json()["code"] == "wrong_environment"


# The question


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"permission": "stats:read"}, "key"),
        ({"key": "x"}, "permission"),
        ({"key": "x", "permission": "stats:raed"}, "permission"),
        ({"key": "x", "permission": None}, "permission"),
        ({"key": "x", "permission": ["stats:read"]}, "permission"),
        ({"key": 7, "permission": "stats:read"}, "key"),
        ({"key": "x\x00", "permission": "stats:read"}, "key"),
        ({"key": "x", "permission": "stats:read", "environment": "staging"}, "environment"),
        ({"key": "x", "permission": "stats:read", "address": "nowhere"}, "address"),
        ({"key": "x", "permission": "stats:read", "address": ""}, "address"),
        ({"key": "x", "permission": "stats:read", "entity": 7}, "entity"),
        ({"key": "x", "permission": "stats:read", "method": "get / HTTP/1.1"}, "method"),
    ],
)
def test_a_question_that_is_none_is_an_error_that_names_the_field(ask, body, field):
    answer = ask.raw(body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert list(answer.json()["errors"]) == [field]


def test_a_key_in_a_form_or_an_address_is_not_taken(api, caller, issue_key):
    _, secret = issue_key()
    question = {"key": secret, "permission": "stats:read"}
    assert api(caller).post(VERIFY, question).status_code == 415
    assert api(caller).get(VERIFY).status_code == 405
    answer = api(caller).get(VERIFY, question)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    answer = api(caller).post(f"{VERIFY}?key=x", question, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["key"])


# Who asks


@pytest.mark.parametrize("level", ["viewer", "accountant", "treasurer", "administrator"])
def test_no_access_level_may_ask(api, issue_key, level):
    _, secret = issue_key(level)
    answer = api(secret).post(VERIFY, {"key": secret, "permission": "entities:read"}, format="json")
    assert (answer.status_code, answer.json()["permission"]) == (403, "verify:use")


def test_a_caller_that_is_refused_learns_nothing_of_the_key(api, issue_key, caller):
    key, secret = issue_key("viewer", rate_limit=60)
    lifecycle.revoke(ApiKey.objects.get(name="Statistics service"), actor=COMMAND, reason="other")
    answer = api(caller).post(VERIFY, {"key": secret, "permission": "stats:read"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (401, "key_revoked")
    assert key.key_id not in answer.text
    assert Client().post(VERIFY, {"key": secret}, content_type="application/json").status_code == 401


# What it costs, and what it leaves


def test_one_select_for_the_caller_one_for_the_key_and_one_for_an_entity(
    ask, issue_key, account, django_assert_num_queries
):
    miner = MinerFactory(account=account)
    _, secret = issue_key(rate_limit=600)
    with django_assert_num_queries(2):
        ask(secret)
    with django_assert_num_queries(3):
        ask(secret, entity=str(miner.pk))
    with django_assert_num_queries(1):
        ask("ph_live_mistyped")
    with django_assert_num_queries(1):
        ask(None)


def test_it_is_taken_from_the_verified_keys_limit_and_from_the_callers_own(
    api, issue_key, make_role, other_account, account
):
    role = make_role("verify:use", name="Verifier", account=other_account)
    _, caller = issue_key("custom", role=role, account=other_account, rate_limit=600)
    _, secret = issue_key("viewer", rate_limit=3)

    def ask():
        return api(caller).post(VERIFY, {"key": secret, "permission": "stats:read"}, format="json")

    api(secret).get("/api/v1/key")
    answers = [ask() for _ in range(3)]
    allowances = [(each.json()["valid"], each.json()["rate_limit"]["remaining"]) for each in answers]
    assert allowances == [(True, 1), (True, 0), (False, 0)]
    assert answers[-1].json()["rate_limit"]["reset"] > 0
    assert "a minute" in answers[-1].json()["detail"]
    # The answer's own headers are of the key that asks.
    assert answers[-1]["RateLimit-Policy"] == '"minute";q=600;w=60'
    assert api(secret).get("/api/v1/key").status_code == 429


def test_both_keys_request_logs_tell_of_it(ask, issue_key):
    key, secret = issue_key("viewer")
    answer = ask.raw({"key": secret, "permission": "payouts:read", "address": "::ffff:203.0.113.5", "method": "DELETE"})
    ask("ph_live_mistyped")
    request_log.flush()
    fields = ("method", "route", "status", "code", "address", "request_id")
    [row] = RequestLog.objects.filter(key=key).values_list(*fields)
    assert row == ("DELETE", "verify: payouts:read", 403, "permission_denied", "203.0.113.5", answer["X-Request-Id"])
    callers = RequestLog.objects.filter(key__name="Statistics service").values_list("method", "route", "status")
    assert list(callers) == [("POST", "/api/v1/verify", 200)] * 2


def test_an_answer_is_not_kept_by_anybody_on_the_way(ask, issue_key):
    _, secret = issue_key()
    answer = ask.raw({"key": secret, "permission": "stats:read"})
    assert answer["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    assert secret not in answer.text


def test_a_database_that_is_gone_is_503_and_no_verdict(ask, issue_key, monkeypatch):
    _, secret = issue_key()
    load_grant = authentication.load_grant

    def gone(selector):
        if selector in secret:
            raise OperationalError
        return load_grant(selector)

    monkeypatch.setattr(authentication, "load_grant", gone)
    answer = ask.raw({"key": secret, "permission": "stats:read"})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer["Retry-After"]) > 0
    assert "valid" not in answer.json()


def test_a_support_key_that_waits_too_long_for_its_turn_is_503_too(ask, register_key, account, monkeypatch):
    register_key(OLD_KEY, [MinerFactory(account=account)])

    def busy(foreign):
        raise registered.Busy

    monkeypatch.setattr(registered, "find", busy)
    answer = ask.raw({"key": OLD_KEY, "permission": "stats:read"})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def test_a_database_that_goes_before_the_entity_is_looked_up_is_503_too(ask, issue_key, monkeypatch):
    _, secret = issue_key()

    def gone(*args):
        raise OperationalError

    monkeypatch.setattr("apikeys.verification._reaches", gone)
    answer = ask.raw({"key": secret, "permission": "stats:read", "entity": str(uuid7())})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
