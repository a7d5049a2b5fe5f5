"""Rotate with an overlap, and end the overlap: two secrets live for a while, then one."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.audit import Actor
from accounts.changes import Refused
from accounts.models import Account, AuditEvent, Membership
from apikeys import lifecycle, rules, signing
from apikeys.models import ApiKey, SigningKey
from tests.factories import MembershipFactory, UserFactory
from tests.people import actor_for

COMMAND = Actor.for_command("tests")
HOUR = timedelta(hours=1)


@pytest.fixture
def key_and_secret(issue_key):
    return issue_key()


def codes(api, *secrets):
    return [api(secret).get("/api/v1/key").status_code for secret in secrets]


def test_both_secrets_answer_until_the_overlap_ends_and_then_the_new_one_alone(key_and_secret, api):
    key, old = key_and_secret
    with time_machine.travel(timezone.now(), tick=False) as clock:
        new = lifecycle.rotate(key, actor=COMMAND, overlap=HOUR)
        assert new != old
        assert codes(api, old, new) == [200, 200]
        clock.shift(HOUR - timedelta(microseconds=1))
        assert codes(api, old, new) == [200, 200]
        clock.shift(timedelta(microseconds=1))
        assert codes(api, old, new) == [401, 200]
        assert api(old).get("/api/v1/key").json()["code"] == "key_revoked"


def test_the_overlap_is_a_day_unless_it_is_said(key_and_secret):
    key, _ = key_and_secret
    with time_machine.travel(timezone.now(), tick=False):
        lifecycle.rotate(key, actor=COMMAND)
        newest, before = ApiKey.objects.get(pk=key.pk).live_secrets
        assert newest.retires_at is None
        assert before.retires_at == timezone.now() + timedelta(hours=24)


def test_the_old_secret_never_outlives_the_key(issue_key, api):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        expires_at = timezone.now() + timedelta(hours=2)
        key, old = issue_key(expires_at=expires_at)
        new = lifecycle.rotate(key, actor=COMMAND, overlap=timedelta(days=30))
        assert key.secrets.earliest("pk").retires_at == expires_at
        clock.shift(timedelta(hours=2))
        assert codes(api, old, new) == [401, 401]


@pytest.mark.parametrize("overlap", [timedelta(), -HOUR, rules.MAX_OVERLAP + timedelta(microseconds=1)])
def test_an_overlap_of_nothing_or_of_more_than_thirty_days_is_refused(key_and_secret, overlap):
    with pytest.raises(Refused) as refused:
        lifecycle.rotate(key_and_secret[0], actor=COMMAND, overlap=overlap)
    assert refused.value.field == "overlap"
    assert key_and_secret[0].secrets.count() == 1


def test_the_longest_overlap_is_allowed(key_and_secret):
    lifecycle.rotate(key_and_secret[0], actor=COMMAND, overlap=rules.MAX_OVERLAP)


def test_a_rotation_within_a_rotation_is_refused_and_allowed_once_the_overlap_is_over(key_and_secret):
    key, _ = key_and_secret
    with time_machine.travel(timezone.now(), tick=False) as clock:
        lifecycle.rotate(key, actor=COMMAND, overlap=HOUR)
        with pytest.raises(Refused, match="under way"):
            lifecycle.rotate(key, actor=COMMAND, overlap=HOUR)
        clock.shift(HOUR)
        lifecycle.rotate(key, actor=COMMAND, overlap=HOUR)
    assert key.secrets.count() == 3


def test_an_expired_key_and_one_without_a_secret_are_not_rotated(issue_key, account):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        expired, _ = issue_key(expires_at=timezone.now() + HOUR)
        panicked, _ = issue_key()
        clock.shift(HOUR)
        with pytest.raises(Refused, match="expired"):
            lifecycle.rotate(expired, actor=COMMAND)
        signing.retire(SigningKey.objects.get(account=account), actor=COMMAND)
        with pytest.raises(Refused, match="no secret that works"):
            lifecycle.rotate(panicked, actor=COMMAND)


def test_a_disabled_key_is_rotated_and_stays_disabled(key_and_secret, api):
    key, _ = key_and_secret
    lifecycle.disable(key, actor=COMMAND)
    new = lifecycle.rotate(key, actor=COMMAND)
    assert api(new).get("/api/v1/key").json()["code"] == "key_disabled"


def test_ending_the_overlap_stops_the_old_secret_at_once_and_leaves_the_new(key_and_secret, api):
    key, old = key_and_secret
    new = lifecycle.rotate(key, actor=COMMAND)
    lifecycle.end_overlap(key, actor=COMMAND)
    assert codes(api, old, new) == [401, 200]
    assert AuditEvent.objects.filter(action="key.overlap_ended", target_id=key.key_id).count() == 1


def test_ending_no_overlap_changes_nothing_and_writes_nothing(key_and_secret, api):
    key, secret = key_and_secret
    lifecycle.end_overlap(key, actor=COMMAND)
    assert codes(api, secret) == [200]
    assert not AuditEvent.objects.filter(action="key.overlap_ended").exists()


def test_regenerating_during_an_overlap_stops_both(key_and_secret, api):
    key, first = key_and_secret
    second = lifecycle.rotate(key, actor=COMMAND)
    third = lifecycle.regenerate(key, actor=COMMAND)
    assert codes(api, first, second, third) == [401, 401, 200]


def test_a_revoked_key_is_neither_rotated_nor_its_overlap_ended(key_and_secret, owner):
    key, _ = key_and_secret
    lifecycle.rotate(key, actor=COMMAND)
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    with pytest.raises(Refused, match="was revoked"):
        lifecycle.rotate(key, actor=actor_for(owner, "key.rotate"))
    with pytest.raises(Refused, match="was revoked"):
        lifecycle.end_overlap(key, actor=actor_for(owner, "key.end_overlap"))


def test_the_trail_says_until_when_the_old_secret_lives_and_holds_no_secret(key_and_secret, owner):
    key, old = key_and_secret
    new = lifecycle.rotate(key, actor=actor_for(owner, "key.rotate"), overlap=HOUR)
    event = AuditEvent.objects.get(action="key.rotated")
    assert event.actor == owner
    assert event.data == {"old_secret_until": key.secrets.earliest("pk").retires_at.isoformat()}
    assert old not in str(event.data)
    assert new not in str(event.data)


def test_nobody_takes_a_secret_of_a_key_that_is_wider_than_they_are(issue_key, treasurer):
    key, _ = issue_key("administrator")
    with pytest.raises(Refused, match="more than you have"):
        lifecycle.rotate(key, actor=actor_for(treasurer, "key.rotate"))
    assert key.secrets.count() == 1


@pytest.mark.parametrize("change", ["key.rotate", "key.end_overlap"])
def test_it_takes_the_right_to_change_keys(key_and_secret, account, change):
    key, _ = key_and_secret
    user = UserFactory()
    MembershipFactory(
        account=account, user=user, access_level="administrator", can_view_keys=True, can_create_keys=True,
        can_delete_keys=True,
    )  # fmt: skip
    call = {"key.rotate": lifecycle.rotate, "key.end_overlap": lifecycle.end_overlap}[change]
    with pytest.raises(Refused, match="You may not do that"):
        call(key, actor=actor_for(user, change))
    Membership.objects.filter(user=user).update(can_update_keys=True)
    call(key, actor=actor_for(user, change))


def test_a_secret_is_due_for_rotation_by_the_account_s_policy(issue_key, account):
    production, _ = issue_key()
    staging, _ = issue_key(environment="staging", scopes=["*:*"])

    def due(key):
        fresh = ApiKey.objects.get(pk=key.pk)
        return fresh.rotation_due_at and fresh.rotation_due_at - fresh.live_secrets[0].created_at

    assert (due(production), due(staging)) == (timedelta(days=90), timedelta(days=180))
    lifecycle.rotate(production, actor=COMMAND)
    assert due(production) == timedelta(days=90)
    Account.objects.update(rotation_days=None)
    assert due(production) is None
