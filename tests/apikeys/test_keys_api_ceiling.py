"""What a key that manages keys can't do: be the way to more than it has itself."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.access_levels import CUSTOM
from accounts.audit import Actor
from accounts.models import AuditEvent
from apikeys import lifecycle, roles
from apikeys.managing import NotAllowed, _is_covered
from apikeys.models import ApiKey, Role
from apikeys.scopes import Scope
from tests.apikeys.managers import KEYS, allow_automation, make_manager, new_key
from tests.conftest import COMMAND
from tests.factories import HubClientFactory, HubFactory, MinerFactory, PoolFactory

#: What gives a key a secret, or a longer life; and what can't be undone.
ALL_BUT_DISABLE = ("rotate", "regenerate", "enable", "end-overlap", "revoke")
SOON = timedelta(days=30)


@pytest.fixture
def manage(account, api):
    """``manage(scopes=[…])`` → a client with a key that manages keys; ``.key`` is the key."""

    def make(*permissions, **fields):
        key, secret = make_manager(account, *permissions, **fields)
        client = api(secret)
        client.key = key
        return client

    return make


@pytest.fixture
def miner(account):
    return MinerFactory(account=account)


def refused(answer, *fields):
    assert (answer.status_code, answer.json()["code"]) == (422, "refused"), answer.content
    assert tuple(answer.json().get("errors", ())) == fields
    return True


def forbidden(answer):
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied"), answer.content
    return True


WIDER = {
    "permissions": {"access_level": "treasurer"},
    "scopes": {"scopes": ["*:miners/*", "read:hubs/*"]},
    "life": {"expires_at": None},
    "a longer life": {"expires_at": "2100-01-01T00:00:00Z"},
    "addresses": {"allowed_cidrs": []},
    "more addresses": {"allowed_cidrs": ["126.0.0.0/7"]},
    "addresses of the other version": {"allowed_cidrs": ["127.0.0.1", "::1"]},
    "rate limit": {"rate_limit": 601},
    "no rate limit": {"rate_limit": None, "rate_burst": None},
    "burst": {"rate_burst": 21},
    "a whole minute at once": {"rate_burst": None},
}


@pytest.fixture
def narrow(manage, account, miner):
    """A client whose key is limited in every way, and the body of a key that is exactly as wide."""
    HubFactory(account=account)
    ends = (timezone.now() + SOON).replace(microsecond=0)
    limits = {"allowed_cidrs": ["127.0.0.0/8"], "rate_limit": 600, "rate_burst": 20}
    client = manage(scopes=("*:miners/*",), expires_at=ends, **limits)
    client.most = new_key(scopes=["*:miners/*"], expires_at=ends.isoformat(), **limits)
    return client


def test_what_it_makes_may_be_as_wide_as_itself(narrow, miner):
    assert narrow.post(KEYS, narrow.most, format="json").status_code == 201
    less = {"scopes": [f"read:miners/{miner.pk}"], "allowed_cidrs": ["127.0.0.1"], "rate_limit": 1, "rate_burst": 1}
    assert narrow.post(KEYS, narrow.most | less, format="json").status_code == 201


@pytest.mark.parametrize("wider", WIDER)
def test_what_it_makes_is_in_nothing_wider(narrow, wider):
    fields = WIDER[wider]
    assert refused(narrow.post(KEYS, narrow.most | fields, format="json"), next(iter(fields)))
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("wider", WIDER)
def test_what_it_edits_does_not_become_wider(narrow, account, wider):
    allow_automation(account, keys_editable=True)
    made = narrow.post(KEYS, narrow.most, format="json").json()
    assert refused(narrow.patch(f"{KEYS}/{made['id']}", WIDER[wider], format="json"), next(iter(WIDER[wider])))


@pytest.mark.parametrize("wider", WIDER)
def test_what_is_wider_it_only_switches_off(narrow, account, issue_key, wider):
    body = narrow.most | WIDER[wider]
    ends = body["expires_at"] and datetime.fromisoformat(body["expires_at"])
    key, _ = issue_key(
        body["access_level"],
        body["scopes"],
        expires_at=ends,
        allowed_cidrs=body["allowed_cidrs"],
        rate_limit=body["rate_limit"],
        rate_burst=body["rate_burst"],
    )
    url, before = f"{KEYS}/{key.key_id}", AuditEvent.objects.count()
    assert forbidden(narrow.patch(url, {"name": "Mine"}, format="json"))
    for operation in ALL_BUT_DISABLE:
        assert forbidden(narrow.post(f"{url}/{operation}"))
    assert AuditEvent.objects.count() == before
    assert narrow.get(url).status_code == 200
    assert narrow.post(f"{url}/disable").json()["status"] == "disabled"


def test_the_accounts_default_rate_counts_as_a_limit(manage, account):
    account.default_rate_limit = 100
    client = manage()
    assert client.post(KEYS, new_key(), format="json").status_code == 201
    assert client.post(KEYS, new_key(rate_limit=100), format="json").status_code == 201
    assert refused(client.post(KEYS, new_key(rate_limit=101), format="json"), "rate_limit")


# Keys that manage keys


def test_no_key_makes_one_that_manages_keys(manage, account):
    client = manage()
    roles.create(account, actor=COMMAND, name="Reads keys", permissions=["keys:read", "stats:read"])
    body = new_key(access_level=CUSTOM, role="Role of Terraform")
    answer = client.post(KEYS, body, format="json")
    assert refused(answer, "access_level")
    assert "Only people" in answer.json()["detail"]
    assert client.post(KEYS, body | {"role": "Reads keys"}, format="json").status_code == 201


@pytest.mark.parametrize("which", ["itself", "its twin"])
def test_no_key_changes_one_that_manages_keys(manage, account, which):
    client = manage()
    key = client.key if which == "itself" else make_manager(account, name="Twin")[0]
    allow_automation(account, keys_editable=True)
    url, before = f"{KEYS}/{key.key_id}", AuditEvent.objects.count()
    soon = (timezone.now() + SOON).isoformat()
    for change in ({"name": "Mine"}, {"expires_at": soon}, {"scopes": ["read:*"]}, {"access_level": "viewer"}):
        assert forbidden(client.patch(url, change, format="json"))
    for operation in ("rotate", "regenerate", "enable", "end-overlap"):
        assert forbidden(client.post(f"{url}/{operation}"))
    assert AuditEvent.objects.count() == before


def test_no_key_edits_another_into_one_that_manages_keys(manage, account, issue_key):
    client = manage()
    allow_automation(account, keys_editable=True)
    key, _ = issue_key()
    body = {"access_level": CUSTOM, "role": "Role of Terraform"}
    assert refused(client.patch(f"{KEYS}/{key.key_id}", body, format="json"), "access_level")


def test_a_key_ends_itself_and_no_other_that_manages_keys(manage, account):
    client, (twin, _) = manage(), make_manager(account, name="Twin")
    assert forbidden(client.post(f"{KEYS}/{twin.key_id}/revoke"))
    assert client.post(f"{KEYS}/{client.key.key_id}/revoke").json()["status"] == "revoked"
    assert client.get(KEYS).json()["code"] == "key_revoked"


def test_what_is_staffs_to_give_no_key_gives(manage, account):
    client = manage("stats:read", "ingest:write")
    roles.create(account, actor=COMMAND, name="Ingest", permissions=["ingest:write"])
    assert refused(client.post(KEYS, new_key(access_level=CUSTOM, role="Ingest"), format="json"), "access_level")


def test_reading_keys_is_not_changing_them(account, api, issue_key, make_role):
    allow_automation(account)
    _, secret = issue_key(CUSTOM, role=make_role("keys:read"))
    client, (other, _) = api(secret), issue_key()
    assert client.get(f"{KEYS}/{other.key_id}").status_code == 200
    assert forbidden(client.post(KEYS, new_key(), format="json"))
    for operation in (*ALL_BUT_DISABLE, "disable"):
        assert forbidden(client.post(f"{KEYS}/{other.key_id}/{operation}"))


def test_a_key_that_was_stopped_meanwhile_changes_nothing(manage, issue_key):
    """Between its authentication and the change."""
    client, (key, _) = manage(), issue_key()
    actor = Actor.for_key(client.key.key_id, "Terraform", None)
    lifecycle.disable(client.key, actor=COMMAND)
    with pytest.raises(NotAllowed):
        lifecycle.regenerate(key, actor=actor)


# Scopes, row by row


def test_a_picked_entity_lies_in_all_of_its_kind(manage, miner):
    client = manage(scopes=("*:miners/*",))
    assert client.post(KEYS, new_key(scopes=[f"*:miners/{miner.pk}"]), format="json").status_code == 201


def test_what_a_hub_reaches_is_not_the_keys_for_good(manage, account, other_account, miner):
    hub, client_of_hub = HubFactory(account=account), MinerFactory(account=other_account)
    for each in (miner, client_of_hub):
        HubClientFactory(hub=hub, miner=each)
    for scopes in ((f"*:hubs/{hub.pk}",), ("*:miners/*",), ("*:hubs/*",)):
        client = manage(scopes=scopes, name=f"With {scopes[0][:10]}")
        for each in (miner, client_of_hub):
            answer = client.post(KEYS, new_key(scopes=[f"*:miners/{each.pk}"]), format="json")
            # All hubs reach whatever client can be picked, all miners are the account's own: as long as either is so.
            if (scopes, each) in [(("*:miners/*",), miner), (("*:hubs/*",), client_of_hub)]:
                assert answer.status_code == 201, answer.content
            else:
                assert refused(answer, "scopes")


def test_a_pool_does_not_give_what_mines_on_it(manage, account):
    pool = PoolFactory(account=account)
    miner = MinerFactory(account=account, pool=pool)
    client = manage(scopes=(f"*:pools/{pool.pk}",))
    assert refused(client.post(KEYS, new_key(scopes=[f"*:miners/{miner.pk}"]), format="json"), "scopes")


ACTIONS, KINDS = ("read", "write", "admin"), ("miner", "hub", "pool")
ROWS = st.builds(Scope, st.sampled_from([*ACTIONS, "*"]), st.sampled_from([*KINDS, "*"]))


@given(own=st.frozensets(ROWS, max_size=4), wanted=ROWS)
def test_a_covered_row_gives_nothing_that_the_own_rows_do_not(own, wanted):
    def gives(rows):
        return {
            (action, kind)
            for row in rows
            for action in (ACTIONS if row.action == "*" else [row.action])
            for kind in (KINDS if row.kind == "*" else [row.kind])
        }

    covered = _is_covered(wanted, own, False)
    assert not covered or gives([wanted]) <= gives(own)
    if wanted.kind != "*":
        assert covered == (gives([wanted]) <= gives(own))


def test_roles_of_other_accounts_can_not_be_named(manage, other_account):
    allow_automation(other_account)
    roles.create(other_account, actor=COMMAND, name="Theirs", permissions=["stats:read"])
    assert refused(manage().post(KEYS, new_key(access_level=CUSTOM, role="Theirs"), format="json"), "role")
    assert Role.objects.count() == 2
