"""Policies: who sets which, within which bounds, and what is written down and told."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.db import transaction

from accounts import policies
from accounts.audit import Actor, StepUpMissing
from accounts.changes import Refused
from accounts.models import Account, AuditEvent, Membership
from accounts.policies import GROUPS, POLICIES
from apikeys import rules
from tests.conftest import person
from tests.people import actor_for

COMMAND = Actor.for_command("tests")
NUMBERS = [policy for policy in POLICIES.values() if not policy.is_switch]
SWITCHES = [policy for policy in POLICIES.values() if policy.is_switch]


def set_as(user, account, **changes):
    return policies.set_policies(account, actor=actor_for(user, policies.SET), **changes)


def saved(account):
    fresh = Account.objects.get(pk=account.pk)
    return {field: getattr(fresh, field) for field in POLICIES}


def test_an_owner_sets_policies_and_one_row_says_what_they_were_and_are(account, owner):
    changed = set_as(owner, account, permanent_delete=True, max_active_keys=20, rotation_days=90)
    assert changed == {"permanent_delete": (False, True), "max_active_keys": (None, 20)}
    assert saved(account)["max_active_keys"] == 20
    event = AuditEvent.objects.get(action="account.policies_changed")
    assert (event.actor, event.account, event.target_id) == (owner, account, str(account.pk))
    assert event.data == {"permanent_delete": [False, True], "max_active_keys": [None, 20]}


def test_nothing_that_differs_writes_and_tells_nothing(account, owner, mailoutbox, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        assert set_as(owner, account, **saved(account)) == {}
    assert mailoutbox == []
    assert not AuditEvent.objects.filter(action="account.policies_changed").exists()


def test_every_policy_stands_in_one_group_and_is_a_field_of_the_account():
    assert sorted(POLICIES) == sorted(field for *_, fields in GROUPS for field in fields)
    assert {field.name for field in Account._meta.get_fields()}.issuperset(POLICIES)


def test_the_account_s_rate_limit_has_the_bound_of_a_key_s_own():
    assert POLICIES["default_rate_limit"].most == rules.MAX_RATE_LIMIT


@pytest.mark.parametrize("policy", NUMBERS, ids=lambda policy: policy.field)
def test_numbers_are_kept_within_their_bounds_or_empty(account, owner, policy):
    def set_to(value):
        actor = COMMAND if policy.of_plan else actor_for(owner, policies.SET)
        policies.set_policies(account, actor=actor, **{policy.field: value})

    for value in (policy.least, policy.most, None):
        set_to(value)
        assert saved(account)[policy.field] == value
    for value in (policy.least - 1, policy.most + 1, True, "7", 1.5):
        with pytest.raises(Refused, match=f"from {policy.least} to {policy.most:,}") as refused:
            set_to(value)
        assert refused.value.field == policy.field
    assert saved(account)[policy.field] is None


@pytest.mark.parametrize("policy", SWITCHES, ids=lambda policy: policy.field)
def test_switches_are_on_or_off(account, owner, policy):
    for value in (None, "on", 7):
        with pytest.raises(Refused):
            set_as(owner, account, **{policy.field: value})
    assert set_as(owner, account, **{policy.field: True}) == {policy.field: (False, True)}


def test_one_bad_value_changes_none(account, owner):
    before = saved(account)
    with pytest.raises(Refused):
        set_as(owner, account, permanent_delete=True, max_active_keys=0)
    assert saved(account) == before


def test_only_the_table_s_fields_can_be_set(account, owner):
    for field in ("slug", "suspended_at", "pinned_policies"):
        with pytest.raises(KeyError):
            set_as(owner, account, **{field: "x"})


def test_only_owners_set_them(account, owner, treasurer, outsider):
    administrator = person(account, "Ada", access_level="administrator", can_create_keys=True, can_update_keys=True)
    for user in (treasurer, administrator, outsider):
        with pytest.raises(PermissionDenied):
            set_as(user, account, permanent_delete=True)
    actor = actor_for(owner, policies.SET)
    Membership.objects.filter(user=owner).update(is_owner=False)
    with pytest.raises(PermissionDenied):
        policies.set_policies(account, actor=actor, permanent_delete=True)
    assert saved(account)["permanent_delete"] is False


@pytest.mark.parametrize("action", [None, "key.issue", "signing_key.retire"])
def test_it_takes_a_code_for_just_that(account, owner, action):
    actor = actor_for(owner, action) if action else Actor(name="Olga", via="web", user=owner)
    with pytest.raises(StepUpMissing):
        policies.set_policies(account, actor=actor, permanent_delete=True)


def test_a_pinned_policy_is_refused_to_owners_and_open_to_staff(account, owner, staff):
    assert policies.pin(account, "max_active_keys", actor=actor_for(staff, "any", via="admin")) == ["max_active_keys"]
    with pytest.raises(Refused, match="staff set this policy") as refused:
        set_as(owner, account, max_active_keys=20)
    assert refused.value.field == "max_active_keys"
    set_as(owner, account, max_active_keys=None, permanent_delete=True)  # as it is: no change of the pinned one
    by_staff = actor_for(staff, policies.SET, via="admin")
    assert policies.set_policies(account, actor=by_staff, max_active_keys=5) == {"max_active_keys": (None, 5)}


def test_what_the_plan_allows_is_staff_s_without_a_pin(account, owner, staff):
    by_staff = actor_for(staff, policies.SET, via="admin")
    assert policies.set_policies(account, actor=by_staff, max_rate_limit=600) == {"max_rate_limit": (None, 600)}
    for value in (1, 601, None):
        with pytest.raises(Refused, match="staff set this policy") as refused:
            set_as(owner, account, max_rate_limit=value)
        assert refused.value.field == "max_rate_limit"
    assert set_as(owner, account, max_rate_limit=600) == {}
    assert saved(account)["max_rate_limit"] == 600
    with pytest.raises(ValueError, match="max_rate_limit"):
        policies.pin(account, "max_rate_limit", actor=by_staff)


def test_a_default_is_not_set_above_what_the_plan_allows(account, owner, staff):
    set_as(owner, account, default_rate_limit=1000)
    by_staff = actor_for(staff, policies.SET, via="admin")
    policies.set_policies(account, actor=by_staff, max_rate_limit=600)
    assert saved(account)["default_rate_limit"] == 1000, "nothing stops at a lowered limit"
    with pytest.raises(Refused, match="At most 600 requests a minute") as refused:
        set_as(owner, account, default_rate_limit=601)
    assert refused.value.field == "default_rate_limit"
    set_as(owner, account, default_rate_limit=600)
    by_staff = actor_for(staff, policies.SET, via="admin")
    policies.set_policies(account, actor=by_staff, max_rate_limit=900, default_rate_limit=900)
    assert (saved(account)["max_rate_limit"], saved(account)["default_rate_limit"]) == (900, 900)


def test_the_pin_counts_that_stands_now_and_not_when_the_page_was_read(account, owner):
    stale = Account.objects.get(pk=account.pk)
    policies.pin(account, "permanent_delete", actor=COMMAND)
    with pytest.raises(Refused):
        set_as(owner, stale, permanent_delete=True)


def test_pins_are_staff_s_and_recorded_once(account, owner, staff):
    actor = actor_for(staff, "any", via="admin")
    for _ in range(2):
        assert policies.pin(account, "rotation_days", "keys_editable", actor=actor) == [
            "keys_editable",
            "rotation_days",
        ]
    assert policies.unpin(account, "rotation_days", "permanent_delete", actor=actor) == ["keys_editable"]
    events = AuditEvent.objects.filter(action__startswith="account.policies").order_by("at")
    assert [(event.action, event.data) for event in events] == [
        ("account.policies_pinned", {"fields": ["keys_editable", "rotation_days"]}),
        ("account.policies_unpinned", {"fields": ["rotation_days"]}),
    ]
    for change in (policies.pin, policies.unpin):
        with pytest.raises(PermissionDenied):
            change(account, "keys_editable", actor=actor_for(owner, policies.SET))
    with pytest.raises(ValueError, match="slug"):
        policies.pin(account, "slug", actor=actor)


def test_a_rollback_leaves_neither_the_change_nor_its_row_nor_a_mail(
    account, owner, mailoutbox, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        set_as(owner, account, permanent_delete=True)
        transaction.set_rollback(True)
    assert saved(account)["permanent_delete"] is False
    assert not AuditEvent.objects.filter(action="account.policies_changed").exists()
    assert mailoutbox == []


def test_owners_are_told_what_changed_and_what_got_looser(
    account, owner, member, mailoutbox, django_capture_on_commit_callbacks
):
    Account.objects.filter(pk=account.pk).update(max_lifetime_days=90, permanent_delete=True)
    with django_capture_on_commit_callbacks(execute=True):
        set_as(owner, account, max_lifetime_days=None, permanent_delete=False, rotation_days=30, key_automation=True)
    [message] = mailoutbox
    assert message.to == [owner.email]
    assert message.subject == "Policies of Northfold Mining were changed"
    lines = {line for line in message.body.splitlines() if line.startswith("- ")}
    assert lines == {
        "- Longest life of a key: 90 days → No limit (less strict)",
        "- Revoked keys can be deleted: on → off",
        "- Rotate production secrets after: 90 days → 30 days",
        "- Keys can manage keys: off → on (less strict)",
    }
    for part in ("Olga", "192.0.2.1", "UTC", "/a/northfold/settings/"):
        assert part in message.body


@pytest.mark.parametrize(
    ("field", "value", "other", "stricter"),
    [
        ("permanent_delete", False, True, True),
        ("permanent_delete", True, False, False),
        ("max_active_keys", 5, 6, True),
        ("max_active_keys", 6, 5, False),
        ("max_active_keys", 6, None, True),
        ("max_active_keys", None, 6, False),
        ("rotation_days", 30, 90, True),
        ("rotation_days", None, 90, False),
    ],
)
def test_which_value_is_stricter(field, value, other, stricter):
    assert POLICIES[field].stricter(value, other) is stricter
