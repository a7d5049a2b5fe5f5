"""Explanations say what the API would answer, to the byte, and leave everything as it was."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.audit import Actor
from accounts.models import Account
from apikeys import decisions, explain, lifecycle, rate_limits, request_log, signing, support_keys
from apikeys.explain import Asked, Explanation, Outcome
from apikeys.explained import describe
from apikeys.models import ApiKey
from entities.models import Miner
from tests.factories import MinerFactory
from tests.security.test_matrix import FACTORIES, METHODS, ROUTES, address, make_part

COMMAND = Actor.for_command("tests")
HERE = "127.0.0.1"
#: One for all: each client of its own would load the middleware anew.
PROGRAM = APIClient()
#: What a view says of the body or the parameters of a request that it let in.
OF_THE_VIEW = {"invalid_request", "conflict", "unsupported_media_type"}


@pytest.fixture(autouse=True)
def limits_whose_clock_stands_still(monkeypatch):
    monkeypatch.setattr(rate_limits, "_store", rate_limits.InProcess(lambda: 1_000_000))


def explained(secret: str, method: str, path: str, from_address: str | None = HERE) -> Explanation:
    path, query = explain.read_path(path)
    asked = Asked(method, path, query, from_address)
    return explain.explain(explain.present(secret), asked, timezone.now())


def real(secret: str, method: str, path: str, from_address: str = HERE) -> Any:
    return PROGRAM.generic(method, path, HTTP_AUTHORIZATION=f"Bearer {secret}", REMOTE_ADDR=from_address)


def assert_same(explanation: Explanation, answer: Any) -> None:
    """The answer that was explained is the one that a program gets: status, challenge and body."""
    body = json.loads(answer.content) if answer.status_code >= 400 and answer.content else {}
    if explanation.problem is None:
        assert answer.status_code < 300 or body.get("code") in OF_THE_VIEW, (answer.status_code, body)
        return
    assert answer.status_code == explanation.problem.status_code
    assert explanation.status_line.split()[0] == str(answer.status_code)
    head, _, told = explanation.answer.partition("\n\n")
    for name in ("WWW-Authenticate", "Retry-After"):
        assert [line for line in head.splitlines() if line.startswith(name)] == (
            [f"{name}: {answer[name]}"] if name in answer else []
        )
    if answer.status_code == 405:
        assert f"Allow: {answer['Allow']}" in head
    if body:  # HEAD has none
        assert json.loads(told) | {"request_id": ""} == body | {"request_id": ""}


# As the API answers


@pytest.mark.parametrize(
    ("level", "scopes"),
    [("administrator", ["*:*"]), ("administrator", ["read:*"]), ("accountant", ["*:miners/*"])],
    ids=lambda value: "+".join(value) if isinstance(value, list) else value,
)
def test_every_route_and_method_is_explained_as_it_is_answered(level, scopes, issue_key, account, other_account):
    MinerFactory(account=account)
    _, secret = issue_key(level, scopes)
    for route, own in product(ROUTES, [True, False]):
        for method in {**ROUTES[route], "PUT": "hardly anywhere"}:
            entity = FACTORIES.get(route.split("/")[0], MinerFactory)(account=account if own else other_account)
            path = address(route, entity.pk, part_id=make_part(route, entity))
            explanation = explained(secret, method, path)
            if (route, method) != ("key/revoke", "POST"):
                assert_same(explanation, real(secret, method, path))


@pytest.mark.parametrize("route", [route for route in ROUTES if route.count("<") == 2])
def test_a_part_that_is_not_there_is_explained_so(route, issue_key, account):
    _, secret = issue_key("administrator")
    entity = FACTORIES[route.split("/")[0]](account=account)
    for method, part in product(ROUTES[route], [uuid4(), "no-id"]):
        path = address(route, entity.pk, part_id=part)
        explanation = explained(secret, method, path)
        assert explanation.denied_by == "entity_in_reach"
        assert_same(explanation, real(secret, method, path))


STATES: dict[str, Any] = {
    "open": lambda key: None,
    "disabled": lambda key: lifecycle.disable(key, actor=COMMAND),
    "revoked": lambda key: lifecycle.revoke(key, actor=COMMAND, reason="leaked"),
    "expired": lambda key: ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(days=1)),
    "replaced": lambda key: lifecycle.regenerate(key, actor=COMMAND),
    "suspended": lambda key: Account.objects.filter(pk=key.account_id).update(suspended_at=timezone.now()),
    "panicked": lambda key: signing.retire(signing.current_signing_key(key.account), actor=COMMAND),
    "spent": lambda key: [ApiKey.objects.filter(pk=key.pk).update(rate_limit=1), rate_limits.take(key.pk, 1)],
}
RULE_OF = {
    "disabled": "key_enabled",
    "revoked": "key_not_revoked",
    "expired": "key_not_expired",
    "replaced": "secret_not_retired",
    "suspended": "account_active",
    "panicked": "secret_not_retired",
    "spent": "rate_within_limit",
}


@pytest.mark.parametrize("state", STATES)
def test_every_state_of_a_key_is_explained_as_it_is_answered(state, issue_key, account):
    key, secret = issue_key("viewer", allowed_cidrs=["127.0.0.0/8", "2001:db8::/32"])
    STATES[state](key)
    miner = MinerFactory(account=account)
    for method, path, place in [
        ("GET", "/api/v1/key", HERE),
        ("GET", f"/api/v1/miners/{miner.pk}", "2001:db8::1"),
        ("GET", f"/api/v1/miners/{miner.pk}", "203.0.113.9"),
        ("GET", f"/api/v1/miners/{uuid4()}", HERE),
        ("GET", f"/api/v1/miners/{miner.pk}/balance", HERE),
        ("PATCH", f"/api/v1/miners/{miner.pk}", HERE),
        ("DELETE", "/api/v1/key", HERE),
        ("GET", "/api/v1/nowhere", HERE),
        ("GET", "/staging/api/v1/miners", HERE),
    ]:
        explanation = explained(secret, method, path, place)
        assert_same(explanation, real(secret, method, path, place))
        if path.startswith("/api/") and place != "203.0.113.9" and state in RULE_OF:
            assert explanation.denied_by == RULE_OF[state]


@pytest.mark.parametrize(
    ("spoil", "question"),
    [
        (lambda secret: secret[:-1], "well_formed"),
        (lambda secret: secret[:-1] + ("0" if secret[-1] != "0" else "1"), "well_formed"),
        (lambda secret: "ключ", "well_formed"),
        (lambda secret: "", "well_formed"),
        (lambda secret: explain.key_format.generate("production", prefix="ph").text, "selector_known"),
        (lambda secret: forged(secret), "secret_matches"),
    ],
    ids=["cut", "mistyped", "not ASCII", "empty", "unknown", "forged"],
)
def test_what_is_no_key_is_explained_so_and_answered_with_one_and_the_same_problem(spoil, question, issue_key):
    _, secret = issue_key()
    spoilt = spoil(secret)
    for path in ("/api/v1/miners", "/api/v1/nowhere"):
        explanation = explained(spoilt, "GET", path)
        assert explanation.denied_by == question
        assert explanation.problem.problem_code == "invalid_key"
        assert explanation.grant is None
        if spoilt.isascii() and spoilt:
            assert_same(explanation, real(spoilt, "GET", path))


def forged(secret: str) -> str:
    """The key's selector before another secret, with a checksum that fits."""
    body = secret[: -explain.key_format.CHECKSUM_LENGTH]
    body = body[:-1] + ("0" if body[-1] != "0" else "1")
    return body + explain.key_format.checksum(body)


# The questions


def test_the_questions_are_the_rules_of_decide_in_their_order(issue_key):
    _, secret = issue_key()
    names = [step.name for step in explained(secret, "GET", "/api/v1/miners").steps]
    assert [name for name in names if name in {rule.__name__ for rule in decisions.RULES}] == [
        rule.__name__ for rule in decisions.RULES
    ]
    assert names[:3] == list(explain.PASTED)


def test_after_the_first_denial_nothing_is_reached(issue_key):
    key, secret = issue_key()
    lifecycle.disable(key, actor=COMMAND)
    outcomes = [step.outcome for step in explained(secret, "GET", "/api/v1/miners").steps]
    at = outcomes.index(Outcome.DENIED)
    assert set(outcomes[:at]) == {Outcome.PASSED}
    assert set(outcomes[at + 1 :]) == {Outcome.NOT_REACHED}


def test_a_chosen_key_goes_by_its_newest_secret_that_works(issue_key):
    key, _ = issue_key()
    lifecycle.rotate(key, actor=COMMAND)
    newest = explain.newest_secret(key)
    assert newest == key.secrets.order_by("-created_at", "-pk").first()
    explanation = explain.explain(explain.present_secret(newest), Asked("GET", "/api/v1/key"), timezone.now())
    assert explanation.allowed
    assert explanation.grant.key_id == key.key_id


def test_a_key_without_a_secret_that_works_is_explained_by_the_last_it_had(issue_key, account):
    key, _ = issue_key()
    signing.retire(signing.current_signing_key(account), actor=COMMAND)
    presented = explain.present_secret(explain.newest_secret(ApiKey.objects.get(pk=key.pk)))
    explanation = explain.explain(presented, Asked("GET", "/api/v1/key"), timezone.now())
    assert explanation.denied_by == "secret_not_retired"


def test_another_account_s_entity_is_explained_exactly_as_an_unknown_id(issue_key, other_account):
    _, secret = issue_key("administrator")
    foreign, unknown = MinerFactory(account=other_account).pk, uuid4()
    told = []
    for pk in (foreign, unknown):
        explanation = explained(secret, "GET", f"/api/v1/miners/{pk}")
        told.append((explanation.steps, explanation.answer, explanation.target.route))
    assert told[0] == told[1]


def test_ids_in_the_query_count_as_named(issue_key, account, other_account):
    _, secret = issue_key()
    own, foreign = MinerFactory(account=account).pk, MinerFactory(account=other_account).pk
    assert explained(secret, "GET", f"/api/v1/miners/charts?id={own}").allowed
    assert explained(secret, "GET", f"/api/v1/miners/charts?id={own}&id={foreign}").denied_by == "entity_in_reach"
    assert explained(secret, "GET", "/api/v1/miners/charts?nonsense=1").allowed


def test_outside_of_the_api_no_key_is_asked_for(issue_key):
    _, secret = issue_key()
    for path in ("/", "/api/v1", "/docs/", "/apiv1/miners"):
        explanation = explained(secret, "GET", path)
        assert explanation.target is None
        assert not explanation.allowed
        assert explanation.steps == ()


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("/api/v1/miners?limit=3", ("/api/v1/miners", "limit=3")),
        ("api/v1/miners", ("/api/v1/miners", "")),
        ("https://pool.example/api/v1/miners#top", ("/api/v1/miners", "")),
        ("/api/v1/%6Diners", ("/api/v1/miners", "")),
        ("", ("/", "")),
    ],
)
def test_a_path_or_a_whole_address_is_read(typed, read):
    assert explain.read_path(typed) == read


# Nothing changes


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with connection.cursor() as cursor:
        found = {}
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608
            found[table] = sorted(map(repr, cursor.fetchall()))
    return found


def test_explaining_writes_nothing_and_takes_nothing(issue_key, account):
    key, secret = issue_key("administrator", rate_limit=2)
    miner = MinerFactory(account=account)
    before, waiting = everything(), request_log._writer.waiting
    for method in METHODS:
        for path in (f"/api/v1/miners/{miner.pk}", "/api/v1/key/revoke", "/api/v1/miners", "/api/v1/nowhere"):
            explained(secret, method, path)
    assert everything() == before
    assert request_log._writer.waiting == waiting
    assert Miner.objects.filter(pk=miner.pk).exists()
    assert rate_limits.peek(key.pk, 2).remaining == 2
    assert [rate_limits.take(key.pk, 2).allowed for _ in range(3)] == [True, True, False]


def test_a_spent_limit_stays_as_spent_as_it_was(issue_key):
    key, secret = issue_key("viewer", rate_limit=1)
    rate_limits.take(key.pk, 1)
    assert {explained(secret, "GET", "/api/v1/miners").allowance.ahead for _ in range(3)} == {60_000_000}
    assert explained(secret, "GET", "/api/v1/miners").problem.problem_code == "rate_limited"


def test_a_burst_is_told_beside_the_pace_at_which_it_comes_back(issue_key):
    key, secret = issue_key("viewer", rate_limit=300, rate_burst=20)
    rate_limits.take(key.pk, 300, 20)
    explanation = explained(secret, "GET", "/api/v1/miners")
    lines = {line.name: line.words for line in describe(explanation)}
    assert lines["rate_within_limit"] == "19 of 20 requests at once are left now. 300 a minute come back."


def test_a_registered_string_is_told_to_be_one_and_not_what_it_has_not(account):
    miner = MinerFactory(account=account)
    old = "nf-7Kd93jsLq02x-Export"
    support_keys.register(
        account, text=old, name="Old", environment="production", access_level="viewer", entities=[miner], actor=COMMAND
    )
    explanation = explain.explain(explain.present(old), Asked("GET", "/api/v1/miners", "192.0.2.1"), timezone.now())
    assert explanation.problem is None
    assert [step.name for step in explanation.steps][:2] == ["registered", "account_active"]
