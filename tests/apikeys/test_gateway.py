"""The gateway's question: 200, 401 or 403, the code in a header, and never more than a key's own rights."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import Account
from apikeys import authentication, lifecycle, request_log
from apikeys.gateway import Gateway
from apikeys.models import ApiKey, RequestLog
from tests.conftest import COMMAND
from tests.factories import HubClientFactory, HubFactory, MinerFactory

VERIFY = "/gateway/verify"


def by_django(request):
    """As Django's own server asks: by the outermost middleware."""
    return Client().generic(request.method, request.get_full_path(), headers=dict(request.headers))


def by_wsgi(request):
    """As in production: by the layer in front of Django, which isn't reached."""
    begun: list = []
    content = Gateway(django_is_not_reached)(request.environ, lambda status, headers: begun.extend([status, headers]))
    status, headers = begun
    answer = HttpResponse(b"".join(content), status=int(status.split()[0]), headers=dict(headers))
    if "Content-Type" not in dict(headers):
        del answer["Content-Type"]
    return answer


def django_is_not_reached(environ, start_response):
    raise AssertionError(environ["PATH_INFO"])


@pytest.fixture(params=[by_django, by_wsgi])
def ask(request):
    """Ask for a secret: ``ask(secret, "stats:read", miner.pk)``."""

    def ask(
        secret=None, permission="stats:read", entity=None, *, path=VERIFY, method="get", scheme="Bearer", **headers
    ):
        if secret is not None:
            headers["Authorization"] = f"{scheme} {secret}"
        if permission is not None:
            headers["X-Pithead-Permission"] = permission
        if entity is not None:
            headers["X-Pithead-Entity"] = str(entity)
        return request.param(RequestFactory().generic(method.upper(), path, headers=headers))

    return ask


def verdict(answer):
    return answer.status_code, answer.headers.get("X-Pithead-Code")


def test_a_key_that_may_passes_and_the_service_learns_whose_it_is(ask, issue_key):
    key, secret = issue_key("viewer", rate_limit=60)
    answer = ask(secret)
    assert verdict(answer) == (200, None)
    told = {name: answer[name] for name in ("X-Pithead-Key-Id", "X-Pithead-Account", "X-Pithead-Level")}
    assert told == {"X-Pithead-Key-Id": key.key_id, "X-Pithead-Account": "northfold", "X-Pithead-Level": "viewer"}
    assert answer["RateLimit-Policy"] == '"minute";q=60;w=60'
    assert answer["Cache-Control"] == "no-store"
    assert (answer.content, answer["Content-Length"]) == (b"", "0")
    assert not {"Content-Type", "Set-Cookie"} & set(answer.headers)


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head", "options"])
def test_whatever_the_method_as_gateways_pass_it_on(ask, issue_key, method):
    _, secret = issue_key()
    assert ask(secret, method=method).status_code == 200


def test_envoy_puts_the_original_path_behind(ask, issue_key):
    _, secret = issue_key()
    assert ask(secret, path=f"{VERIFY}/miners/1?x=%2F").status_code == 200
    assert Client().get("/gateway/verifying").status_code == 404


def test_what_names_no_permission_is_for_nobody(ask, issue_key):
    _, secret = issue_key("administrator")
    for permission in (None, "", "no:such", "stats:read,workers:read"):
        assert verdict(ask(secret, permission)) == (403, "permission_denied")


def test_every_denial_of_the_decision_has_its_code(ask, issue_key, account):
    key, secret = issue_key("viewer", allowed_cidrs=["127.0.0.0/8"])
    _, elsewhere = issue_key("viewer", environment="staging", name="staging")
    assert verdict(ask()) == (401, "missing_credentials")
    assert verdict(ask(secret, scheme="Basic")) == (401, "missing_credentials")
    assert verdict(ask(secret[:-1] + "~")) == (401, "invalid_key")
    assert verdict(ask("ph_live_" + "0" * 61)) == (401, "invalid_key")
    assert verdict(ask(elsewhere)) == (401, "wrong_environment")
    assert verdict(ask(elsewhere, **{"X-Pithead-Environment": "staging"})) == (200, None)
    denied = ask(secret, "payouts:read")
    assert verdict(denied) == (403, "permission_denied")
    assert 'scope="payouts:read"' in denied["WWW-Authenticate"]
    ApiKey.objects.filter(pk=key.pk).update(allowed_cidrs=["192.0.2.0/24"])
    assert verdict(ask(secret)) == (403, "address_not_allowed")
    ApiKey.objects.filter(pk=key.pk).update(allowed_cidrs=[])
    Account.objects.filter(pk=account.pk).update(suspended_at=timezone.now())
    assert verdict(ask(secret)) == (401, "account_suspended")
    Account.objects.filter(pk=account.pk).update(suspended_at=None)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert verdict(ask(secret)) == (401, "key_expired")
    ApiKey.objects.filter(pk=key.pk).update(expires_at=None)
    lifecycle.disable(key, actor=COMMAND)
    assert verdict(ask(secret)) == (401, "key_disabled")
    lifecycle.revoke(key, actor=COMMAND, reason="other")
    assert verdict(ask(secret)) == (401, "key_revoked")


def test_too_many_requests_travel_as_403_with_when_to_come_again(ask, issue_key):
    _, secret = issue_key(rate_limit=2)
    answers = [ask(secret) for _ in range(3)]
    assert [verdict(answer) for answer in answers] == [(200, None), (200, None), (403, "rate_limited")]
    assert int(answers[-1]["Retry-After"]) > 0
    assert answers[-1]["RateLimit"].startswith('"minute";r=0')


def test_an_entity_is_in_reach_or_refused_like_one_that_is_not_there(ask, issue_key, account, other_account):
    mine, client = MinerFactory(account=account), MinerFactory(account=other_account)
    hub = HubFactory(account=account)
    served = HubClientFactory(hub=hub, miner__account=other_account).miner
    _, secret = issue_key("viewer", [f"*:miners/{mine.pk}", "*:hubs/*"])
    assert verdict(ask(secret, entity=mine.pk)) == (200, None)
    assert verdict(ask(secret, entity=hub.pk)) == (200, None)
    assert verdict(ask(secret, entity=served.pk)) == (200, None)
    for out in (client.pk, uuid7(), "no-id", ""):
        assert verdict(ask(secret, entity=out)) == (403, "not_found")
    # What the level does not permit is said first: it is no news of the entity.
    assert verdict(ask(secret, "payouts:read", entity=client.pk)) == (403, "permission_denied")


def test_a_read_scope_does_not_write(ask, issue_key, account):
    miner = MinerFactory(account=account)
    _, secret = issue_key("administrator", ["read:miners/*"])
    assert verdict(ask(secret, "workers:read", miner.pk)) == (200, None)
    assert verdict(ask(secret, "workers:write", miner.pk)) == (403, "not_found")


def test_one_select_and_no_write_and_a_second_for_an_entity(ask, issue_key, account, django_assert_num_queries):
    miner = MinerFactory(account=account)
    _, secret = issue_key()
    with django_assert_num_queries(1):
        ask(secret)
    with django_assert_num_queries(2):
        ask(secret, entity=miner.pk)
    with django_assert_num_queries(0):
        ask("mistyped")


def test_it_stands_in_the_request_log(ask, issue_key):
    key, secret = issue_key("viewer")
    ask(secret, **{"X-Forwarded-Method": "DELETE"})
    ask(secret, "payouts:read")
    request_log.flush()
    rows = RequestLog.objects.filter(key=key).order_by("pk").values_list("method", "route", "status", "code")
    assert list(rows) == [
        ("DELETE", "gateway: stats:read", 200, ""),
        ("GET", "gateway: payouts:read", 403, "permission_denied"),
    ]


def test_a_database_that_is_gone_lets_nobody_pass(ask, issue_key, monkeypatch):
    _, secret = issue_key()

    def gone(selector):
        raise OperationalError

    monkeypatch.setattr(authentication, "load_grant", gone)
    answer = ask(secret)
    assert verdict(answer) == (403, "unavailable")
    assert int(answer["Retry-After"]) > 0


def test_a_fault_lets_nobody_pass_and_is_logged_without_the_key(issue_key, monkeypatch, caplog):
    _, secret = issue_key()

    def crash(*args, **kwargs):
        raise RuntimeError(f"a fault with {secret}")

    monkeypatch.setattr("apikeys.verification.verify", crash)
    answer = by_wsgi(RequestFactory().get(VERIFY, headers={"Authorization": f"Bearer {secret}"}))
    assert verdict(answer) == (403, "unavailable")
    assert "RuntimeError" in caplog.text
    assert secret[20:63] not in caplog.text


def test_both_faces_give_the_same_answer_to_the_byte(issue_key):
    _, secret = issue_key(rate_limit=1000)
    for headers in ({"Authorization": f"Bearer {secret}"}, {"Authorization": "Bearer mistyped"}, {}):
        request = RequestFactory().get(VERIFY, headers={**headers, "X-Pithead-Permission": "stats:read"})
        answers = []
        for face in (by_django, by_wsgi):
            answer = face(request)
            request_id = answer["X-Request-Id"]
            told = {name: value for name, value in answer.items() if not name.startswith(("X-Request-Id", "RateLimit"))}
            answers.append((answer.status_code, told, answer.content.replace(request_id.encode(), b"")))
        assert answers[0] == answers[1]


def test_other_paths_go_on():
    reached = []
    for path in ("/gateway/verifying", "/", "/api/v1/key"):
        Gateway(lambda environ, start: reached.append(environ["PATH_INFO"]))({"PATH_INFO": path}, None)
    assert reached == ["/gateway/verifying", "/", "/api/v1/key"]


def test_head_gets_the_headers_alone(db):
    answer = by_wsgi(RequestFactory().head(VERIFY, headers={"Authorization": "Bearer mistyped"}))
    assert (answer.status_code, answer.content) == (401, b"")
    assert int(answer["Content-Length"]) > 0
