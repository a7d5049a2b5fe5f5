"""load_grant(): its fixed SQL against what the ORM says of the same rows, and what one authentication costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts.access_levels import PERMISSIONS, AccessLevel
from accounts.models import Account
from apikeys.authentication import BearerAuthentication
from apikeys.grants import Grant, load_grant, load_registered
from apikeys.models import ApiKey, ApiKeySecret, KeyScope, SigningKey
from tests.factories import HubFactory, MinerFactory, PoolFactory

PRECISE = datetime(2026, 11, 21, 12, 34, 56, 789_123, tzinfo=UTC)
WHOLE = datetime(2027, 1, 1, tzinfo=UTC)

#: shape: level (or a custom role's permissions), scopes ("picked" stands for one by hand), changes to the key, its
#: secret, signing key and account
SHAPES = {
    "plain": ("viewer", ["*:*"], {}, {}, {}, {}),
    "accountant": ("accountant", ["*:miners/*"], {}, {}, {}, {}),
    "treasurer": ("treasurer", ["*:hubs/*"], {}, {}, {}, {}),
    "administrator": ("administrator", ["*:pools/*"], {}, {}, {}, {}),
    "revoked": ("viewer", ["*:*"], {"revoked_at": PRECISE}, {}, {}, {}),
    "disabled": ("viewer", ["*:*"], {"disabled_at": PRECISE}, {}, {}, {}),
    "expires to the microsecond": ("viewer", ["*:*"], {"expires_at": PRECISE}, {}, {}, {}),
    "expires at a whole second": ("viewer", ["*:*"], {"expires_at": WHOLE}, {}, {}, {}),
    "replaced secret": ("viewer", ["*:*"], {}, {"retires_at": PRECISE}, {}, {}),
    "retired signing key": ("viewer", ["*:*"], {}, {}, {"retired_at": PRECISE}, {}),
    "suspended": ("viewer", ["*:*"], {}, {}, {}, {"suspended_at": PRECISE}),
    "staging": ("viewer", ["*:*"], {"environment": "staging"}, {}, {}, {}),
    "one network": ("viewer", ["*:*"], {"allowed_cidrs": ["203.0.113.0/24"]}, {}, {}, {}),
    "many networks": (
        "viewer",
        ["*:*"],
        {"allowed_cidrs": [f"10.{n}.0.0/16" for n in range(99)] + ["::/0"]},
        {},
        {},
        {},
    ),
    "burst": ("viewer", ["*:*"], {"rate_limit": 300, "rate_burst": 20}, {}, {}, {}),
    "burst of the default": ("viewer", ["*:*"], {"rate_burst": 20}, {}, {}, {"default_rate_limit": 300}),
    "burst and no limit any more": ("viewer", ["*:*"], {"rate_burst": 20}, {}, {}, {}),
    "limit of the plan": ("viewer", ["*:*"], {}, {}, {}, {"max_rate_limit": 60}),
    "limit above the plan": ("viewer", ["*:*"], {"rate_limit": 61, "rate_burst": 61}, {}, {}, {"max_rate_limit": 60}),
    "picked": ("viewer", ["picked"], {}, {}, {}, {}),
    "all and picked": ("viewer", ["read:miners/*", "write:hubs/*", "admin:*", "picked"], {}, {}, {}, {}),
    "custom role": ("entities:read payouts:read", ["*:*"], {}, {}, {}, {}),
    "custom role without automation": (
        "stats:read keys:read keys:write",
        ["*:*"],
        {},
        {},
        {},
        {"key_automation": False},
    ),
    "custom role with automation": ("stats:read keys:read keys:write", ["*:*"], {}, {}, {}, {"key_automation": True}),
    "support": ("accountant", ["picked"], {"support": True}, {"lookup": b"abc", "argon2": "argon2$x"}, {}, {}),
    "no scope left": ("viewer", [], {}, {}, {}, {}),
    "odd names": ("viewer", ["*:*"], {"name": "Ünïcode %s ' \" ; 🔑"}, {}, {}, {"name": "O'Brien & 100 % Sons"}),
    "everything at once": (
        "administrator",
        ["*:miners/*", "read:pools/*", "picked"],
        {"revoked_at": PRECISE, "disabled_at": WHOLE, "expires_at": PRECISE, "allowed_cidrs": ["::/0"]},
        {"retires_at": WHOLE},
        {"retired_at": PRECISE},
        {"suspended_at": WHOLE},
    ),
}


@pytest.fixture
def make(account, issue_key, make_role):
    def make(shape):
        level, scopes, key_fields, secret_fields, signing_fields, account_fields = SHAPES[shape]
        miner = MinerFactory(account=account)
        HubFactory(account=account)
        PoolFactory(account=account)
        named = [f"*:miners/{miner.pk}" if text == "picked" else text for text in scopes]
        if ":" in level:
            # A role that manages keys is made while the account's policy allows it.
            Account.objects.filter(pk=account.pk).update(key_automation=True)
            key, secret = issue_key("custom", named, role=make_role(*level.split(), name="Rôle ' %s"))
        else:
            key, secret = issue_key(level, named or ["*:*"])
        if not named:
            KeyScope.objects.filter(key=key).delete()
        for model, filters, fields in [
            (ApiKey, {"pk": key.pk}, key_fields),
            (ApiKeySecret, {"key": key}, secret_fields),
            (SigningKey, {"account": account}, signing_fields),
            (Account, {"pk": account.pk}, account_fields),
        ]:
            if fields:
                assert model.objects.filter(**filters).update(**fields) == 1
        return ApiKeySecret.objects.get(key=key), secret

    return make


def by_the_orm(row: ApiKeySecret) -> Grant:
    row = ApiKeySecret.objects.select_related("key__account", "signing_key").get(pk=row.pk)
    key, account = row.key, row.key.account
    scopes = list(KeyScope.objects.filter(key=key))
    if key.role:
        permissions = set(key.role.permissions) - (set() if account.key_automation else {"keys:read", "keys:write"})
    else:
        level = AccessLevel(key.access_level)
        permissions = {name for name, permission in PERMISSIONS.items() if level in permission.levels}
    return Grant(
        key_pk=key.pk,
        secret_pk=row.pk,
        key_id=key.key_id,
        name=key.name,
        account_id=account.pk,
        account_slug=account.slug,
        account_name=account.name,
        environment=key.environment,
        access_level=key.access_level,
        role=key.role.name if key.role else "",
        permissions=frozenset(permissions),
        all_scopes=frozenset((scope.action, scope.kind) for scope in scopes if scope.entity_id is None),
        picked_kinds=frozenset(scope.kind for scope in scopes if scope.entity_id is not None),
        allowed_networks=tuple(ip_network(text) for text in key.allowed_cidrs),
        rate_limit=key.rate_limit_in_force,
        rate_burst=key.rate_burst_in_force,
        expires_at=key.expires_at,
        secret_retires_at=row.retires_at,
        signing_key_retired_at=row.signing_key.retired_at,
        disabled_at=key.disabled_at,
        revoked_at=key.revoked_at,
        account_suspended_at=account.suspended_at,
        picked_only=key.support,
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_the_fixed_sql_says_what_the_orm_says(make, shape):
    row, _ = make(shape)
    stored = load_grant(row.selector)
    assert stored.grant == by_the_orm(row)
    assert (stored.digest, stored.argon2) == (bytes(row.digest), row.argon2)
    assert load_registered(b"abc") == ([stored] if row.is_registered else [])
    assert stored.wrapped_signing_key == bytes(SigningKey.objects.get(pk=row.signing_key_id).wrapped)


NUMBERS = [None, 1, 59, 60, 61]


@pytest.mark.parametrize("own", NUMBERS)
@pytest.mark.parametrize("most", NUMBERS)
def test_no_limit_in_force_is_above_the_plan_s(issue_key, own, most):
    key, _ = issue_key()
    selector = ApiKeySecret.objects.get(key=key).selector
    ApiKey.objects.update(rate_limit=own)
    for default in NUMBERS:
        Account.objects.update(default_rate_limit=default, max_rate_limit=most)
        chosen = own or default
        expected = chosen if most is None else most if chosen is None else min(chosen, most)
        assert load_grant(selector).grant.rate_limit == expected
        assert ApiKey.objects.get().rate_limit_in_force == expected


def test_times_carry_their_zone(make):
    row, _ = make("everything at once")
    grant = load_grant(row.selector).grant
    times = [getattr(grant, name) for name in vars(grant) if name.endswith("_at")]
    assert len(times) == 6
    assert all(time.utcoffset() == timedelta(0) for time in times)


def test_each_secret_of_a_key_opens_the_same_key(make):
    row, _ = make("plain")
    second = ApiKeySecret.objects.create(
        key=row.key, signing_key=row.signing_key, selector="z" * 12, digest=b"d" * 32, retires_at=WHOLE
    )
    first, other = load_grant(row.selector).grant, load_grant(second.selector).grant
    assert first.key_pk == other.key_pk
    assert (first.secret_retires_at, other.secret_retires_at) == (None, WHOLE)


@pytest.mark.parametrize("selector", ["0" * 12, "", "' OR 1=1 --", "%s", "é", "%"])
def test_an_unknown_selector_finds_nothing(make, selector):
    make("plain")
    assert load_grant(selector) is None


def test_a_selector_is_found_in_its_own_letter_case_alone(make):
    row, _ = make("plain")
    assert load_grant(row.selector.swapcase()) is None


def test_digests_and_wrapped_keys_stay_out_of_repr(make):
    row, _ = make("plain")
    shown = repr(load_grant(row.selector))
    assert repr(bytes(row.digest)) not in shown
    assert "digest" not in shown
    assert "wrapped" not in shown


def authenticate(secret):
    request = APIRequestFactory().get("/api/v1/key", HTTP_AUTHORIZATION=f"Bearer {secret}")
    parser_context = {"kwargs": {"environment": "production"}}
    return BearerAuthentication().authenticate(Request(request, parser_context=parser_context))


@pytest.mark.parametrize("shape", ["plain", "many networks", "all and picked", "custom role with automation"])
def test_authentication_is_one_select(make, shape):
    _, secret = make(shape)
    ApiKey.objects.update(allowed_cidrs=[])
    with CaptureQueriesContext(
        connection,
    ) as captured:
        user, grant = authenticate(secret)
    assert user is grant
    assert len(captured) == 1
    assert captured[0]["sql"].lstrip().startswith("SELECT s.digest")


def test_an_authenticated_request_writes_nothing_and_asks_for_the_key_once(make, api):
    _, secret = make("plain")
    client = api(secret)
    with CaptureQueriesContext(connection) as captured:
        assert client.get("/api/v1/key").status_code == 200
    statements = [query["sql"].lstrip() for query in captured]
    assert all(statement.startswith("SELECT") for statement in statements), statements
    assert sum("apikeys_apikeysecret" in statement for statement in statements) == 1
    assert len(statements) == 2  # the grant, and the scopes that this route shows


def test_picked_entities_are_asked_for_only_where_there_are_some(make):
    row, _ = make("plain")
    assert load_grant(row.selector).grant.picked("miner", "read") is None


@pytest.mark.parametrize(
    ("scope", "kind", "action", "reached"),
    [
        ("*:*", "miner", "read", True),
        ("*:*", "pool", "admin", True),
        ("read:*", "hub", "read", True),
        ("read:*", "hub", "write", False),
        ("*:miners/*", "miner", "write", True),
        ("*:miners/*", "hub", "read", False),
        ("write:miners/*", "miner", "write", True),
        ("write:miners/*", "miner", "read", False),
        ("admin:pools/*", "pool", "admin", True),
    ],
)
def test_rows_on_all_of_a_kind_reach_their_kind_and_action(account, issue_key, scope, kind, action, reached):
    for factory in (MinerFactory, HubFactory, PoolFactory):
        factory(account=account)
    key, _ = issue_key("viewer", [scope])
    assert load_grant(key.secrets.get().selector).grant.reaches_all(kind, action) == reached


def test_hand_picked_entities_are_reached_by_kind_and_action(account, issue_key):
    miner, other = MinerFactory(account=account), MinerFactory(account=account)
    key, _ = issue_key("viewer", [f"read:miners/{miner.pk}", f"*:miners/{other.pk}"])
    grant = load_grant(key.secrets.get().selector).grant
    reached = {action: set(grant.picked("miner", action).entities()) for action in ("read", "write")}
    assert {action: {entity.pk for entity in entities} for action, entities in reached.items()} == {
        "read": {miner.pk, other.pk},
        "write": {other.pk},
    }
    assert grant.picked("hub", "read") is None
