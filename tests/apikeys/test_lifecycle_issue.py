"""Issuing a key: who may, what is checked, and what is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import IntegrityError, transaction

from accounts import audit
from accounts.changes import Refused
from accounts.models import Account, AuditEvent, Membership
from apikeys import lifecycle, signing
from apikeys.lifecycle import AlreadyIssued
from apikeys.models import ApiKey, ApiKeySecret, KeyScope
from apikeys.scopes import InvalidScope, Scope
from tests.factories import AccountFactory, MembershipFactory, MinerFactory, UserFactory
from tests.people import actor_for

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LEVELS = ["viewer", "accountant", "treasurer", "administrator"]
#: who -> what they may give
MAY_GIVE = {
    "viewer": {"viewer"},
    "accountant": {"accountant"},
    "treasurer": {"viewer", "accountant", "treasurer"},
    "administrator": set(LEVELS),
}


def issue(account, actor, **fields):
    fields = {"name": "Dashboard", "environment": "production", "access_level": "viewer", **fields}
    fields.setdefault("scopes", [Scope("*", "*")])
    return lifecycle.issue(account, actor=actor, **fields)


def nothing_was_issued():
    return not (
        ApiKey.objects.exists()
        or ApiKeySecret.objects.exists()
        or KeyScope.objects.exists()
        or AuditEvent.objects.filter(action="key.issued").exists()
    )


def test_a_key_comes_with_its_secret_its_scopes_and_its_audit_row(account, owner):
    miner = MinerFactory(account=account)
    scopes = [Scope("*", "hub"), Scope("read", "miner", miner.pk)]
    with pytest.raises(InvalidScope):
        issue(account, actor_for(owner, "key.issue"), scopes=scopes)
    scopes[0] = Scope("*", "miner")
    key, secret = issue(account, actor_for(owner, "key.issue"), scopes=scopes, allowed_cidrs=["203.0.113.0/24"])
    key.refresh_from_db()
    assert (key.created_by, key.created_by_name, key.status) == (owner, "Olga", "active")
    assert sorted(map(str, key.scopes.all())) == ["*:miners/*", f"read:miners/{miner.pk}"]
    stored = key.secrets.get()
    assert stored.selector == secret[8:20]
    assert bytes(stored.digest) == signing.digest(bytes(stored.signing_key.wrapped), secret)
    event = AuditEvent.objects.get(action="key.issued")
    assert (event.actor, event.actor_name, event.account, event.via) == (owner, "Olga", account, "web")
    assert (event.target_type, event.target_id, event.target_name) == ("apikey", key.key_id, "Dashboard")
    assert event.address == "192.0.2.1"
    assert event.data == {
        "environment": "production",
        "access_level": "viewer",
        "scopes": ["*:miners/*", f"read:miners/{miner.pk}"],
        "scope_count": 2,
        "expires_at": None,
        "allowed_cidrs": ["203.0.113.0/24"],
        "rate_limit": None,
        "rate_burst": None,
    }


def test_a_rollback_leaves_neither_key_nor_audit_row(account, owner):
    with transaction.atomic():
        issue(account, actor_for(owner, "key.issue"))
        assert not nothing_was_issued()
        transaction.set_rollback(True)
    assert nothing_was_issued()


def test_a_key_whose_audit_row_can_t_be_written_is_not_issued(account, owner, monkeypatch):
    def fail(*args, **kwargs):
        raise IntegrityError("no audit today")

    monkeypatch.setattr(audit.AuditEvent, "save", fail)
    with pytest.raises(IntegrityError, match="no audit today"):
        issue(account, actor_for(owner, "key.issue"))
    assert nothing_was_issued()


@pytest.mark.parametrize("ceiling", LEVELS)
@pytest.mark.parametrize("level", LEVELS)
def test_nobody_gives_more_than_they_have(account, ceiling, level):
    user = UserFactory()
    MembershipFactory(account=account, user=user, access_level=ceiling, can_create_keys=True)
    actor = actor_for(user, "key.issue")
    if level in MAY_GIVE[ceiling]:
        assert issue(account, actor, access_level=level)[0].access_level == level
    else:
        with pytest.raises(Refused, match=f"{ceiling.capitalize()}: you can't give") as refused:
            issue(account, actor, access_level=level)
        assert refused.value.field == "access_level"
        assert nothing_was_issued()


@pytest.mark.parametrize("via", ["web", "api", "other"])
def test_whoever_lacks_the_right_is_refused(account, member, outsider, staff, via):
    for user in (member, outsider, staff):
        with pytest.raises(Refused, match="may not do that"):
            issue(account, actor_for(user, "key.issue", via=via))
    assert nothing_was_issued()


def test_the_right_to_see_change_and_revoke_keys_is_not_the_right_to_create_them(account):
    user = UserFactory()
    rights = {"can_view_keys": True, "can_update_keys": True, "can_delete_keys": True}
    MembershipFactory(account=account, user=user, **rights)
    with pytest.raises(Refused):
        issue(account, actor_for(user, "key.issue"))


def test_staff_issue_in_the_admin_and_people_who_are_no_staff_don_t(account, staff, owner):
    assert issue(account, actor_for(staff, "key.issue", via="admin"), access_level="administrator")
    with pytest.raises(Refused):
        issue(account, actor_for(owner, "key.issue", via="admin"))


def test_a_removed_member_is_refused_with_the_proof_in_hand(account, owner):
    actor = actor_for(owner, "key.issue")
    Membership.objects.filter(user=owner).delete()
    with pytest.raises(Refused, match="any more"):
        issue(account, actor)
    assert nothing_was_issued()


def test_a_person_who_was_switched_off_is_refused_with_the_proof_in_hand(account, owner, staff):
    for user, via in [(owner, "web"), (staff, "admin")]:
        user.is_active = False
        user.save()
        with pytest.raises(Refused):
            issue(account, actor_for(user, "key.issue", via=via))


@pytest.mark.parametrize("name", ["", "   ", "\t\n", "x" * 81, "a\u202eb", "a\0b", "a\u200bb", "\ud800"])
def test_a_name_must_be_there_be_short_and_print(account, owner, name):
    with pytest.raises(Refused) as refused:
        issue(account, actor_for(owner, "key.issue"), name=name)
    assert refused.value.field == "name"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("  Grafana \n board ", "Grafana board"), ("x" * 80, "x" * 80), ("Ключ 🔑 é", "Ключ 🔑 é"), ("a\u00a0b", "a b")],
)
def test_a_name_is_kept_in_one_line(account, owner, given, kept):
    key, _ = issue(account, actor_for(owner, "key.issue"), name=given)
    assert key.name == kept


@pytest.mark.parametrize(
    ("field", "value"),
    [("environment", "live"), ("environment", ""), ("access_level", "owner"), ("access_level", "Viewer")],
)
def test_an_unknown_environment_or_level_is_refused(account, owner, field, value):
    with pytest.raises(Refused) as refused:
        issue(account, actor_for(owner, "key.issue"), **{field: value})
    assert refused.value.field == field
    assert nothing_was_issued()


def test_foreign_entities_are_refused_and_nothing_is_written(account, other_account, owner):
    foreign = MinerFactory(account=other_account)
    with pytest.raises(InvalidScope):
        issue(account, actor_for(owner, "key.issue"), scopes=[Scope("*", "miner", foreign.pk)])
    assert nothing_was_issued()


def test_an_account_without_a_signing_key_issues_nothing(owner):
    bare = AccountFactory()
    MembershipFactory(account=bare, user=owner, is_owner=True, access_level="administrator")
    with pytest.raises(signing.NotBootstrapped):
        issue(bare, actor_for(owner, "key.issue"))
    assert nothing_was_issued()


def test_no_more_active_keys_than_the_account_may_have(account, issue_key):
    Account.objects.update(max_active_keys=2)
    first, _ = issue_key()
    issue_key()
    with pytest.raises(Refused, match="2 active keys"):
        issue_key()
    lifecycle.revoke(first, actor=audit.Actor.for_command("tests"), reason="unneeded")
    issue_key()
    with pytest.raises(Refused):
        issue_key()


def test_keys_that_answer_no_more_are_not_counted(account, issue_key):
    Account.objects.update(max_active_keys=1)
    with time_machine.travel(NOW - timedelta(days=3), tick=False):
        issue_key(expires_at=NOW - timedelta(days=1))
    disabled, _ = issue_key()
    lifecycle.disable(disabled, actor=audit.Actor.for_command("tests"))
    issue_key()
    with pytest.raises(Refused):
        issue_key()


def test_switching_a_key_on_again_is_no_way_round_the_limit(account, issue_key):
    command = audit.Actor.for_command("tests")
    Account.objects.update(max_active_keys=1)
    first, _ = issue_key()
    lifecycle.disable(first, actor=command)
    second, _ = issue_key()
    with pytest.raises(Refused, match="1 active key"):
        lifecycle.enable(first, actor=command)
    lifecycle.disable(second, actor=command)
    assert lifecycle.enable(first, actor=command).status == "active"
    assert lifecycle.enable(first, actor=command).status == "active", (
        "already on is no error, nor counted against itself"
    )


@pytest.mark.parametrize(
    ("limit", "lifetime", "allowed"),
    [
        (None, None, True),
        (None, timedelta(days=36_500), True),
        (None, timedelta(0), False),
        (None, timedelta(days=-1), False),
        (None, timedelta(microseconds=1), True),
        (30, None, False),
        (30, timedelta(days=30), True),
        (30, timedelta(days=30, minutes=2), False),
        (30, timedelta(days=29), True),
    ],
)
@time_machine.travel(NOW, tick=False)
def test_a_key_s_life_lies_ahead_and_within_the_account_s_limit(account, issue_key, limit, lifetime, allowed):
    Account.objects.update(max_lifetime_days=limit)
    expires_at = None if lifetime is None else NOW + lifetime
    if allowed:
        assert issue_key(expires_at=expires_at)[0].expires_at == expires_at
    else:
        with pytest.raises(Refused) as refused:
            issue_key(expires_at=expires_at)
        assert refused.value.field == "expires_at"


@pytest.mark.parametrize(
    ("default", "most", "limit", "burst", "refused_at"),
    [
        (None, None, 300, 300, None),
        (None, None, 300, 301, "rate_burst"),
        (None, None, 300, 0, "rate_burst"),
        (None, None, 300, -1, "rate_burst"),
        (None, None, None, 1, "rate_burst"),
        (20, None, None, 20, None),
        (20, None, None, 21, "rate_burst"),
        (20, None, 40, 21, None),
        (None, 600, 600, 600, None),
        (None, 600, 601, None, "rate_limit"),
        (None, 600, None, 600, None),
        (None, 600, None, 601, "rate_burst"),
        (1000, 600, None, 601, "rate_burst"),
        (None, None, 1_000_001, None, "rate_limit"),
    ],
)
def test_a_key_s_rate_lies_within_the_account_s(account, issue_key, default, most, limit, burst, refused_at):
    Account.objects.update(default_rate_limit=default, max_rate_limit=most)
    if refused_at is None:
        key, _ = issue_key(rate_limit=limit, rate_burst=burst)
        assert (key.rate_limit, key.rate_burst) == (limit, burst)
        data = AuditEvent.objects.get(action="key.issued").data
        assert (data["rate_limit"], data["rate_burst"]) == (limit, burst)
        return
    with pytest.raises(Refused) as refused:
        issue_key(rate_limit=limit, rate_burst=burst)
    assert refused.value.field == refused_at
    assert nothing_was_issued()


def test_the_same_idempotency_key_makes_one_key_and_tells_which(account, other_account, issue_key):
    first, _ = issue_key(idempotency_key="form-1")
    with pytest.raises(AlreadyIssued) as repeated:
        issue_key(idempotency_key="form-1", name="another")
    assert repeated.value.key == first
    assert ApiKey.objects.count() == 1
    issue_key(idempotency_key="form-2")
    issue_key(idempotency_key="form-1", account=other_account)
    issue_key()
    issue_key()
    assert ApiKey.objects.count() == 5


def test_a_repeated_form_tells_nothing_to_who_may_not_issue(account, owner, outsider):
    issue(account, actor_for(owner, "key.issue"), idempotency_key="form-1")
    Membership.objects.filter(user=owner).delete()
    for user in (owner, outsider):
        with pytest.raises(Refused):
            issue(account, actor_for(user, "key.issue"), idempotency_key="form-1")
