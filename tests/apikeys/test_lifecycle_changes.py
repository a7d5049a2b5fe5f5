"""Regenerate, disable, enable, revoke: what each does, who may, and what is written."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.audit import Actor
from accounts.changes import Refused
from accounts.models import AuditEvent, Membership
from apikeys import lifecycle
from apikeys.models import ApiKey
from tests.factories import MembershipFactory, UserFactory
from tests.people import actor_for

COMMAND = Actor.for_command("tests")
CHANGES = {
    # change: call, audit action, the membership right it takes
    "key.regenerate": (lifecycle.regenerate, "key.regenerated", "can_update_keys"),
    "key.disable": (lifecycle.disable, "key.disabled", "can_update_keys"),
    "key.enable": (lifecycle.enable, "key.enabled", "can_update_keys"),
    "key.revoke": (
        lambda key, *, actor: lifecycle.revoke(key, actor=actor, reason="leaked", note=" seen in a log "),
        "key.revoked",
        "can_delete_keys",
    ),
}
RIGHTS = ["can_view_keys", "can_create_keys", "can_update_keys", "can_delete_keys"]


@pytest.fixture
def key(issue_key):
    return issue_key()[0]


def ready(key, change):
    """``key`` in the state that ``change`` changes."""
    if change == "key.enable":
        lifecycle.disable(key, actor=COMMAND)
    return key


def state(key):
    fresh = ApiKey.objects.get(pk=key.pk)
    return (fresh.disabled_at, fresh.revoked_at, fresh.revoke_reason, fresh.secrets.count())


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_writes_one_audit_row_that_names_who_and_what(key, owner, change):
    call, action, _ = CHANGES[change]
    call(ready(key, change), actor=actor_for(owner, change))
    event = AuditEvent.objects.get(action=action)
    assert (event.actor, event.account, event.target_id, event.target_name) == (
        owner,
        key.account,
        key.key_id,
        key.name,
    )
    assert event.data == ({"reason": "leaked", "note": "seen in a log"} if change == "key.revoke" else {})


@pytest.mark.parametrize("change", CHANGES)
def test_a_rollback_leaves_neither_the_change_nor_its_audit_row(key, owner, change):
    call, action, _ = CHANGES[change]
    before = state(ready(key, change))
    with transaction.atomic():
        call(key, actor=actor_for(owner, change))
        assert state(key) != before
        transaction.set_rollback(True)
    assert state(key) == before
    assert not AuditEvent.objects.filter(action=action).exists()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_whose_audit_row_can_t_be_written_does_not_happen(key, owner, change, monkeypatch):
    call, _, _ = CHANGES[change]
    before = state(ready(key, change))

    def fail(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(AuditEvent, "save", fail)
    with pytest.raises(ZeroDivisionError):
        call(key, actor=actor_for(owner, change))
    assert state(key) == before


@pytest.mark.parametrize("right", RIGHTS)
@pytest.mark.parametrize("change", CHANGES)
def test_each_change_takes_its_own_right(account, key, change, right):
    call, _, needed = CHANGES[change]
    user = UserFactory()
    MembershipFactory(account=account, user=user, access_level="administrator", **{right: True})
    before = state(ready(key, change))
    if right == needed:
        call(key, actor=actor_for(user, change))
        assert state(key) != before
    else:
        with pytest.raises(Refused, match="may not do that"):
            call(key, actor=actor_for(user, change))
        assert state(key) == before


@pytest.mark.parametrize("change", CHANGES)
def test_outsiders_and_removed_members_change_nothing(key, owner, outsider, change):
    call, _, _ = CHANGES[change]
    before = state(ready(key, change))
    actor = actor_for(owner, change)
    Membership.objects.filter(user=owner).delete()
    for who in (actor, actor_for(outsider, change)):
        with pytest.raises(Refused):
            call(key, actor=who)
    assert state(key) == before


@pytest.mark.parametrize("change", [change for change in CHANGES if change != "key.revoke"])
def test_a_revoked_key_can_t_be_changed(key, owner, change):
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    before = state(key)
    with pytest.raises(Refused, match="revoked"):
        CHANGES[change][0](key, actor=actor_for(owner, change))
    assert state(key) == before


def test_a_stale_object_in_hand_does_not_bring_a_revoked_key_back(key, owner):
    stale = ApiKey.objects.get(pk=key.pk)
    lifecycle.revoke(key, actor=COMMAND, reason="leaked")
    assert stale.revoked_at is None
    with pytest.raises(Refused):
        lifecycle.enable(stale, actor=actor_for(owner, "key.enable"))
    stale.name = "renamed by a stale page"
    with pytest.raises(Refused):
        lifecycle.disable(stale, actor=actor_for(owner, "key.disable"))
    assert ApiKey.objects.get(pk=key.pk).revoked_at is not None


def test_revoking_again_keeps_the_first_reason_and_is_no_error(key, owner, treasurer):
    lifecycle.revoke(key, actor=actor_for(owner, "key.revoke"), reason="leaked", note="first")
    again = lifecycle.revoke(key, actor=actor_for(treasurer, "key.revoke"), reason="unneeded", note="second")
    assert (again.revoke_reason, again.revoke_note, again.revoked_by_name) == ("leaked", "first", "Olga")
    assert AuditEvent.objects.filter(action="key.revoked").count() == 1


def test_disabling_and_enabling_again_is_no_error_and_one_audit_row(key):
    for _ in range(2):
        lifecycle.disable(key, actor=COMMAND)
    for _ in range(2):
        lifecycle.enable(key, actor=COMMAND)
    actions = AuditEvent.objects.filter(action__startswith="key.").order_by("at").values_list("action", flat=True)
    assert list(actions) == ["key.issued", "key.disabled", "key.enabled"]


def test_disabling_again_keeps_the_first_time(key):
    first = lifecycle.disable(key, actor=COMMAND).disabled_at
    assert lifecycle.disable(key, actor=COMMAND).disabled_at == first


@pytest.mark.parametrize("reason", ["", "other reason", "Leaked"])
def test_a_revocation_needs_one_of_its_reasons(key, reason):
    with pytest.raises(Refused) as refused:
        lifecycle.revoke(key, actor=COMMAND, reason=reason)
    assert refused.value.field == "reason"
    assert ApiKey.objects.get(pk=key.pk).revoked_at is None


def test_a_long_note_is_cut(key):
    assert len(lifecycle.revoke(key, actor=COMMAND, reason="other", note="n" * 500).revoke_note) == 200


def test_a_new_secret_ends_every_one_before_it(key, api):
    secrets = [lifecycle.regenerate(key, actor=COMMAND) for _ in range(3)]
    assert [api(secret).get("/api/v1/key").status_code for secret in secrets] == [401, 401, 200]
    assert key.secrets.filter(retires_at=None).count() == 1


def test_a_new_secret_ends_one_that_was_to_live_on_for_a_while_too(key, api):
    old = lifecycle.regenerate(key, actor=COMMAND)
    key.secrets.update(retires_at=timezone.now() + timedelta(hours=24))
    assert api(old).get("/api/v1/key").status_code == 200
    lifecycle.regenerate(key, actor=COMMAND)
    assert api(old).get("/api/v1/key").json()["code"] == "key_revoked"


def test_regenerating_a_disabled_key_leaves_it_off(key, api):
    lifecycle.disable(key, actor=COMMAND)
    secret = lifecycle.regenerate(key, actor=COMMAND)
    assert api(secret).get("/api/v1/key").json()["code"] == "key_disabled"


@pytest.mark.parametrize("level", ["viewer", "accountant", "treasurer", "administrator"])
def test_nobody_gets_a_new_secret_of_a_key_wider_than_themselves(account, issue_key, level):
    """The secret of an Administrator key in a Viewer's hands would make them an Administrator."""
    user = UserFactory()
    MembershipFactory(account=account, user=user, access_level="viewer", can_update_keys=True)
    wide, _ = issue_key(level)
    actor = actor_for(user, "key.regenerate")
    if level == "viewer":
        assert lifecycle.regenerate(wide, actor=actor)
    else:
        with pytest.raises(Refused, match="Viewer"):
            lifecycle.regenerate(wide, actor=actor)
        assert wide.secrets.filter(retires_at=None).count() == 1
        assert wide.secrets.count() == 1
