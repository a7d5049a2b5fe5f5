"""A key that manages keys: what it sees, makes and changes, while the account's policy allows it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from accounts import policies
from accounts.audit import Actor
from accounts.models import AuditEvent
from apikeys import lifecycle
from apikeys.managing import NotAllowed
from apikeys.models import ApiKey, UsageHour
from tests.apikeys.managers import KEYS, allow_automation, make_manager, new_key
from tests.conftest import COMMAND
from tests.factories import MinerFactory


@pytest.fixture
def manager(account, api):
    """A client with a key that manages keys; ``manager.key`` is the key."""
    key, secret = make_manager(account)
    client = api(secret)
    client.key = key
    return client


def make(manager, **fields):
    return manager.post(KEYS, new_key(**fields), format="json")


def test_a_key_makes_a_key_and_is_shown_its_secret(manager, account, api):
    answer = make(
        manager,
        description="For the wall",
        scopes=["read:*"],
        expires_at="2030-01-01T00:00:00Z",
        allowed_cidrs=["127.0.0.1"],
        rate_limit=300,
        rate_burst=20,
    )
    assert answer.status_code == 201, answer.content
    made = answer.json()
    key = ApiKey.objects.get(key_id=made["id"])
    assert made["secret_shown"] is True
    assert answer["Cache-Control"] == "no-store"
    assert api(made["secret"]).get("/api/v1/key").json()["id"] == key.key_id
    del made["secret"], made["secrets"]
    assert made == {
        "id": key.key_id,
        "name": "Dashboard",
        "description": "For the wall",
        "environment": "production",
        "status": "active",
        "access_level": "viewer",
        "role": None,
        "permissions": ["entities:read", "hashrate:read", "stats:read", "workers:read"],
        "scopes": ["read:*"],
        "allowed_cidrs": ["127.0.0.1/32"],
        "rate_limit": 300,
        "rate_burst": 20,
        "expires_at": "2030-01-01T00:00:00Z",
        "created_at": key.created_at.isoformat().replace("+00:00", "Z"),
        "created_by": f"Terraform ({manager.key.key_id})",
        "rotation_due_at": made["rotation_due_at"],
        "disabled_at": None,
        "revoked_at": None,
        "revoke_reason": None,
        "secret_shown": True,
    }


def test_the_audit_trail_and_the_owners_mail_name_the_key_that_did_it(
    manager, owner, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        made = make(manager).json()
    event = AuditEvent.objects.get(action="key.issued", target_id=made["id"])
    assert (event.actor_name, event.via, event.actor, event.address) == (
        f"Terraform ({manager.key.key_id})",
        "api",
        None,
        "127.0.0.1",
    )
    [message] = [each for each in mail.outbox if each.to == [owner.email]]
    assert f"Terraform ({manager.key.key_id})" in message.body
    assert made["secret"] not in message.body


def test_without_the_policy_the_permissions_are_nothing(manager, account, owner):
    policies.set_policies(account, actor=COMMAND, key_automation=False)
    for answer in (manager.get(KEYS), make(manager), manager.get(f"{KEYS}/{manager.key.key_id}")):
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")


def test_the_rules_ask_for_the_policy_themselves(manager, account, issue_key):
    """Whatever face is in front, and whenever the policy ends."""
    key, _ = issue_key()
    actor = Actor.for_key(manager.key.key_id, "Terraform", None)
    allow_automation(account, key_automation=False)
    for change in (lifecycle.enable, lifecycle.disable, lifecycle.rotate, lifecycle.regenerate, lifecycle.end_overlap):
        with pytest.raises(NotAllowed):
            change(key, actor=actor)


def test_a_list_holds_the_keys_of_its_own_environment_and_account(manager, issue_key, account, other_account):
    old, _ = issue_key(name="Old")
    lifecycle.revoke(old, actor=COMMAND, reason="other")
    issue_key(environment="staging", name="Staging")
    issue_key(account=other_account, name="Foreign")
    issue_key(name="Here")
    assert [row["name"] for row in manager.get(KEYS).json()["data"]] == ["Here", "Terraform"]
    assert [row["name"] for row in manager.get(f"{KEYS}?status=revoked").json()["data"]] == ["Old"]


def test_support_keys_are_not_there(manager, account, register_key):
    key = register_key("nf-7Qk2-old-script-key-2019", [MinerFactory(account=account)])
    assert [row["name"] for row in manager.get(KEYS).json()["data"]] == ["Terraform"]
    for method, path in [("GET", ""), ("PATCH", ""), ("GET", "/usage"), ("POST", "/disable"), ("POST", "/rotate")]:
        assert manager.generic(method, f"{KEYS}/{key.key_id}{path}").status_code == 404
    key.refresh_from_db()
    assert key.disabled_at is None


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=Wall", ["Wall"]),
        ("search=WAL", ["Wallet", "Wall"]),
        ("access_level=custom", ["Terraform"]),
        ("status=disabled", ["Wallet"]),
        ("status=active", ["Wall", "Terraform"]),
        ("status=expired", []),
        ("ordering=name", ["Terraform", "Wall", "Wallet"]),
        ("ordering=created_at", ["Terraform", "Wall", "Wallet"]),
        ("created_after=2020-01-01T00:00:00Z&search=all", ["Wallet", "Wall"]),
        ("created_before=2020-01-01T00:00:00Z", []),
    ],
)
def test_a_list_can_be_narrowed_and_ordered(manager, issue_key, query, names):
    issue_key(name="Wall")
    lifecycle.disable(issue_key(name="Wallet")[0], actor=COMMAND)
    assert [row["name"] for row in manager.get(f"{KEYS}?{query}").json()["data"]] == names


def test_pages_go_on_where_the_last_one_ended(manager, issue_key):
    for number in range(5):
        issue_key(name=f"Key {number}")
    names, url = [], f"{KEYS}?limit=2"
    while url:
        page = manager.get(url).json()
        names += [row["name"] for row in page["data"]]
        url = page["page"]["next"] and f"{KEYS}?limit=2&cursor={page['page']['next']}"
    assert names == ["Key 4", "Key 3", "Key 2", "Key 1", "Key 0", "Terraform"]


def test_a_longer_list_takes_no_more_queries(manager, issue_key, django_assert_max_num_queries):
    issue_key(name="First")
    for _ in range(12):
        issue_key()
    with django_assert_max_num_queries(3):
        assert len(manager.get(KEYS).json()["data"]) == 14
    with django_assert_max_num_queries(4):
        manager.get(f"{KEYS}/{manager.key.key_id}")


def test_a_name_and_a_description_are_changed(manager, issue_key):
    key, _ = issue_key()
    answer = manager.patch(f"{KEYS}/{key.key_id}", {"name": "Wall", "description": "Hall 3"}, format="json")
    assert answer.status_code == 200, answer.content
    assert (answer.json()["name"], answer.json()["description"]) == ("Wall", "Hall 3")


def test_restrictions_are_changed_and_lifted(manager, issue_key):
    key, _ = issue_key()
    url = f"{KEYS}/{key.key_id}"
    tight = {"expires_at": "2030-01-01T02:00:00+02:00", "allowed_cidrs": ["198.51.100.0/24"], "rate_limit": 60}
    assert manager.patch(url, tight, format="json").json() | {"expires_at": "2030-01-01T00:00:00Z"} == {
        **manager.get(url).json(),
        "expires_at": "2030-01-01T00:00:00Z",
        "allowed_cidrs": ["198.51.100.0/24"],
        "rate_limit": 60,
    }
    loose = {"expires_at": None, "allowed_cidrs": [], "rate_limit": None}
    answer = manager.patch(url, loose, format="json").json()
    assert {name: answer[name] for name in loose} == loose


def test_level_and_scopes_stay_unless_the_policy_says_editable(manager, issue_key, account):
    MinerFactory(account=account)
    key, _ = issue_key()
    url, wanted = f"{KEYS}/{key.key_id}", {"scopes": ["read:miners/*"]}
    refused = manager.patch(url, wanted, format="json")
    assert (refused.status_code, refused.json()["code"], list(refused.json()["errors"])) == (422, "refused", ["scopes"])
    allow_automation(account, keys_editable=True)
    assert manager.patch(url, wanted, format="json").json()["scopes"] == ["read:miners/*"]


def test_rotating_lets_both_secrets_work_for_a_while(manager, issue_key, api):
    key, old = issue_key()
    answer = manager.post(f"{KEYS}/{key.key_id}/rotate", {"overlap_seconds": 3600}, format="json")
    assert answer.status_code == 201, answer.content
    new = answer.json()["secret"]
    assert {api(secret).get("/api/v1/key").status_code for secret in (old, new)} == {200}
    assert len(answer.json()["secrets"]) == 2
    again = manager.post(f"{KEYS}/{key.key_id}/rotate", {}, format="json")
    assert (again.status_code, again.json()["code"]) == (422, "refused")
    ended = manager.post(f"{KEYS}/{key.key_id}/end-overlap")
    assert len(ended.json()["secrets"]) == 1
    assert [api(secret).get("/api/v1/key").status_code for secret in (old, new)] == [401, 200]


def test_regenerating_stops_the_secret_before(manager, issue_key, api):
    key, old = issue_key()
    new = manager.post(f"{KEYS}/{key.key_id}/regenerate", {"note": "found in a log"}, format="json").json()["secret"]
    assert [api(secret).get("/api/v1/key").status_code for secret in (old, new)] == [401, 200]


def test_a_key_is_switched_off_and_on_and_ended(manager, issue_key, api):
    key, secret = issue_key()
    url = f"{KEYS}/{key.key_id}"
    assert manager.post(f"{url}/disable", {"note": "odd requests"}, format="json").json()["status"] == "disabled"
    assert api(secret).get("/api/v1/key").json()["code"] == "key_disabled"
    assert manager.post(f"{url}/enable").json()["status"] == "active"
    assert api(secret).get("/api/v1/key").status_code == 200
    ended = manager.post(f"{url}/revoke", {"reason": "unneeded"}, format="json").json()
    assert (ended["status"], ended["revoke_reason"], ended["secrets"]) == ("revoked", "unneeded", [])
    assert api(secret).get("/api/v1/key").json()["code"] == "key_revoked"
    refused = manager.post(f"{url}/enable")
    assert (refused.status_code, refused.json()["code"]) == (422, "refused")


def test_usage_is_told_by_day(manager, issue_key):
    key, _ = issue_key()
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    UsageHour.objects.create(key=key, hour=now, requests=7, refused=2)
    UsageHour.objects.create(key=key, hour=now - timedelta(days=2), requests=5)
    answer = manager.get(f"{KEYS}/{key.key_id}/usage?days=3").json()
    assert answer["id"] == key.key_id
    assert [(day["requests"], day["refused"]) for day in answer["data"]] == [(5, 0), (0, 0), (7, 2)]
    assert len(manager.get(f"{KEYS}/{key.key_id}/usage").json()["data"]) == 30
    refused = manager.get(f"{KEYS}/{key.key_id}/usage?days=401")
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["days"])


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"name": "  "}, 400, "name"),
        ({"name": "x" * 81}, 400, "name"),
        ({"name": 7}, 400, "name"),
        ({"access_level": "root"}, 400, "access_level"),
        ({"access_level": "custom"}, 400, "role"),
        ({"access_level": "custom", "role": "Nobody"}, 422, "role"),
        ({"role": "Role of Terraform"}, 400, "role"),
        ({"scopes": []}, 400, "scopes"),
        ({"scopes": ["miners"]}, 422, "scopes"),
        ({"scopes": "*:*"}, 400, "scopes"),
        ({"scopes": ["*:miners/01a1fe2c-3192-7525-8048-510237b4a8ed"]}, 422, "scopes"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422, "expires_at"),
        ({"expires_at": "2030-01-01T00:00:00"}, 400, "expires_at"),
        ({"expires_at": "tomorrow"}, 400, "expires_at"),
        ({"allowed_cidrs": ["198.51.100.1/24"]}, 422, "allowed_cidrs"),
        ({"rate_limit": 0}, 400, "rate_limit"),
        ({"rate_limit": "60"}, 400, "rate_limit"),
        ({"rate_limit": True}, 400, "rate_limit"),
        ({"rate_burst": 0}, 400, "rate_burst"),
        ({"rate_limit": 60, "rate_burst": 61}, 422, "rate_burst"),
        ({"environment": "staging"}, 400, "environment"),
        ({"secret": "mine"}, 400, "secret"),
        ({"support": True}, 400, "support"),
    ],
)
def test_a_body_that_does_not_do_says_which_field(manager, fields, status, field):
    answer = make(manager, **fields)
    assert answer.status_code == status, answer.content
    assert field in next(iter(answer.json()["errors"]))
    assert ApiKey.objects.count() == 1


def test_the_accounts_limits_hold(manager, account):
    allow_automation(account, max_active_keys=1)
    answer = make(manager)
    assert (answer.status_code, answer.json()["code"]) == (422, "refused")
    assert "1 active key" in answer.json()["detail"]


def test_each_mount_manages_its_own_environment(account, api, issue_key):
    _, secret = make_manager(account, environment="staging")
    made = api(secret).post("/staging/api/v1/keys", new_key(), format="json").json()
    assert (made["environment"], made["secret"][:7]) == ("staging", "ph_stg_")
    live, _ = issue_key()
    assert api(secret).post(f"/staging/api/v1/keys/{live.key_id}/disable").status_code == 404
    assert api(secret).get(KEYS).json()["code"] == "wrong_environment"
