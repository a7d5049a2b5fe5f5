"""Notices: what owners are told by mail, who gets which, and what can't be switched off."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import transaction

from accounts import notices
from accounts.audit import Actor
from accounts.models import AuditEvent, Membership, User
from accounts.notices import MUTABLE, NOTICES, notify_members, receivers
from apikeys import lifecycle, notifications, signing
from apikeys.edits import Changes
from apikeys.models import ApiKey
from apikeys.scopes import Scope
from tests.conftest import person
from tests.people import actor_for

COMMAND = Actor.for_command("tests")
LOCKED = [
    "key.leaked",
    "key.exposed",
    "signing_key.retired",
    "owners",
    "payout_address",
    "entity.transferred",
    "suspension",
]
# change of a key: how it is made, what it needs first, the kind of notice, words of its mail
CHANGES = {
    "key.edit": (
        lambda key, actor: lifecycle.edit(key, Changes(name="Renamed"), actor=actor),
        "key.edited",
        "API key edited: Renamed",
    ),
    "key.regenerate": (
        lambda key, actor: lifecycle.regenerate(key, actor=actor),
        "key.regenerated",
        "Secret of an API key replaced: viewer key",
    ),
    "key.rotate": (
        lambda key, actor: lifecycle.rotate(key, actor=actor, overlap=timedelta(hours=1)),
        "key.rotated",
        "API key rotated: viewer key",
    ),
    "key.end_overlap": (
        lambda key, actor: lifecycle.end_overlap(key, actor=actor),
        "key.rotated",
        "Rotation of an API key finished: viewer key",
    ),
    "key.disable": (
        lambda key, actor: lifecycle.disable(key, actor=actor),
        "key.disabled",
        "API key switched off: viewer key",
    ),
    "key.enable": (
        lambda key, actor: lifecycle.enable(key, actor=actor),
        "key.enabled",
        "API key switched on: viewer key",
    ),
    "key.revoke": (
        lambda key, actor: lifecycle.revoke(key, actor=actor, reason="leaked"),
        "key.revoked",
        "API key revoked: viewer key",
    ),
    "key.delete": (lambda key, actor: lifecycle.delete(key, actor=actor), "key.deleted", "API key deleted: viewer key"),
}
FIRST = {
    "key.end_overlap": lambda key: lifecycle.rotate(key, actor=COMMAND),
    "key.enable": lambda key: lifecycle.disable(key, actor=COMMAND),
    "key.delete": lambda key: lifecycle.revoke(key, actor=COMMAND, reason="unneeded"),
}


@pytest.fixture
def second_owner(account):
    return person(account, "Oda", is_owner=True, access_level="administrator")


@pytest.fixture
def sent(mailoutbox, django_capture_on_commit_callbacks):
    """Run something and return the mails that it sent once it was committed."""

    def run(call):
        del mailoutbox[:]
        with django_capture_on_commit_callbacks(execute=True):
            call()
        return list(mailoutbox)

    return run


def mute(user, *kinds):
    Membership.objects.filter(user=user).update(muted_notices=list(kinds))


def issue(account, actor):
    return lifecycle.issue(
        account,
        actor=actor,
        name="Grafana",
        environment="staging",
        access_level="viewer",
        scopes=[Scope("*", "*")],
    )


def test_every_change_of_a_key_has_a_kind_in_the_table():
    of_keys = {kind for kind in NOTICES if kind.startswith("key.")}
    assert {told.kind for told in notifications.CHANGES.values()} == of_keys - {"key.leaked", "key.exposed"}
    assert [kind for kind, notice in NOTICES.items() if notice.locked] == LOCKED


def test_a_new_key_is_told_with_who_when_from_where_and_what_to_do(account, owner, sent):
    made = []
    [message] = sent(lambda: made.append(issue(account, actor_for(owner, "key.issue"))))
    key, secret = made[0]
    assert message.to == [owner.email]
    assert message.subject == "API key created: Grafana"
    for part in (f"Grafana ({key.key_id}, Staging, Viewer)", "Olga", "UTC", "192.0.2.1", "switch the key off"):
        assert part in message.body
    assert f"/a/northfold/access/api-keys/{key.key_id}/" in message.body
    assert "/a/northfold/settings/notices/" in message.body
    assert secret not in message.body
    assert secret[8:20] not in message.body


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_of_a_key_sends_each_owner_one_mail(account, owner, second_owner, member, issue_key, sent, change):
    call, _, subject = CHANGES[change]
    account.permanent_delete = True
    account.save()
    key, _ = issue_key()
    FIRST.get(change, lambda key: None)(key)
    messages = sent(lambda: call(key, actor_for(owner, change)))
    assert sorted(message.to[0] for message in messages) == sorted([owner.email, second_owner.email])
    assert {message.subject for message in messages} == {subject}
    assert all(key.key_id in message.body for message in messages)


@pytest.mark.parametrize("change", CHANGES)
def test_who_switched_the_kind_off_gets_none(account, owner, second_owner, issue_key, sent, change):
    call, kind, _ = CHANGES[change]
    account.permanent_delete = True
    account.save()
    key, _ = issue_key()
    FIRST.get(change, lambda key: None)(key)
    mute(owner, kind)
    mute(second_owner, *(other for other in MUTABLE if other != kind))
    [message] = sent(lambda: call(key, actor_for(owner, change)))
    assert message.to == [second_owner.email]


def test_a_change_that_changes_nothing_sends_nothing(owner, issue_key, sent):
    key, _ = issue_key()
    assert sent(lambda: lifecycle.enable(key, actor=actor_for(owner, "key.enable"))) == []
    assert sent(lambda: lifecycle.end_overlap(key, actor=actor_for(owner, "key.end_overlap"))) == []
    assert sent(lambda: lifecycle.edit(key, Changes(name=key.name), actor=actor_for(owner, "key.edit"))) == []


def test_a_change_that_rolls_back_sends_nothing(owner, issue_key, sent):
    key, _ = issue_key()

    def roll_back():
        with transaction.atomic():
            lifecycle.revoke(key, actor=actor_for(owner, "key.revoke"), reason="leaked")
            transaction.set_rollback(True)

    assert sent(roll_back) == []


def test_a_key_that_revokes_itself_is_told_as_what_it_is(owner, issue_key, sent):
    key, _ = issue_key()
    actor = Actor.for_key(key.key_id, key.name, "203.0.113.9")
    [message] = sent(lambda: lifecycle.revoke(key, actor=actor, reason="leaked"))
    assert f"viewer key ({key.key_id})" in message.body
    assert "203.0.113.9" in message.body


def test_staff_are_told_of_as_staff_without_name_and_address(owner, staff, issue_key, sent):
    key, _ = issue_key()
    actor = actor_for(staff, "key.revoke", via="admin")
    [message] = sent(lambda: lifecycle.revoke(key, actor=actor, reason="leaked"))
    assert "The pool’s staff" in message.body
    assert "Stina" not in message.body
    assert "192.0.2.1" not in message.body


def test_what_manage_py_does_is_told_only_where_the_kind_is_locked(account, owner, sent):
    made = []
    assert sent(lambda: made.append(issue(account, COMMAND)[0])) == []
    assert sent(lambda: lifecycle.revoke(made[0], actor=COMMAND, reason="leaked")) == []
    [message] = sent(lambda: signing.retire(signing.current_signing_key(account), actor=COMMAND))
    assert message.subject == "Signing key retired: API keys stopped"


def test_names_with_braces_and_markup_reach_the_mail_as_they_are(account, owner, issue_key, sent):
    key, _ = issue_key(name="{name} <b>&'")
    [message] = sent(lambda: lifecycle.disable(key, actor=actor_for(owner, "key.disable")))
    assert message.subject == "API key switched off: {name} <b>&'"
    assert "{name} <b>&' (" in message.body


def test_signing_keys_are_told(account, owner, issue_key, sent):
    issue_key()
    mute(owner, *MUTABLE)
    assert sent(lambda: signing.rotate(account, actor=actor_for(owner, signing.ROTATE))) == []
    mute(owner)
    [message] = sent(lambda: signing.rotate(account, actor=actor_for(owner, signing.ROTATE)))
    assert "new signing key, version 3" in message.body
    mute(owner, *NOTICES)
    first = account.signing_keys.get(version=1)
    [message] = sent(lambda: signing.retire(first, actor=actor_for(owner, signing.RETIRE)))
    assert "version 1 of the signing key of Northfold Mining was retired" in message.body
    assert "1 key stopped: it has no secret that works." in message.body
    assert sent(lambda: signing.retire(first, actor=actor_for(owner, signing.RETIRE))) == []


@pytest.mark.parametrize("kind", LOCKED)
def test_a_locked_kind_reaches_every_owner_whatever_they_chose(account, owner, kind):
    mute(owner, *NOTICES)
    assert [membership.user for membership in receivers(account, kind)] == [owner]


def test_only_owners_who_can_sign_in_get_notices(account, owner, second_owner, treasurer, outsider):
    User.objects.filter(pk=second_owner.pk).update(is_active=False)
    assert [membership.user for membership in receivers(account, "key.issued")] == [owner]


def test_owners_choose_for_themselves_alone(account, owner, second_owner):
    membership = Membership.objects.get(user=owner)
    wanted = {*MUTABLE} - {"key.edited", "members"}
    assert notices.choose(membership, wanted, actor=actor_for(owner, "any")) == ["key.edited", "members"]
    assert Membership.objects.get(user=owner).muted_notices == ["key.edited", "members"]
    assert Membership.objects.get(user=second_owner).muted_notices == []
    event = AuditEvent.objects.get(action="notices.chosen")
    assert event.data == {"muted": ["key.edited", "members"], "muted_before": []}
    assert (event.account, event.target_name) == (account, "Olga in Northfold Mining")


def test_a_locked_kind_is_never_stored_as_switched_off(owner):
    membership = Membership.objects.get(user=owner)
    assert set(notices.choose(membership, [], actor=actor_for(owner, "any"))) == set(MUTABLE)
    assert not set(Membership.objects.get(user=owner).muted_notices) & set(LOCKED)


def test_what_is_switched_off_is_told_once_and_switching_on_is_not(owner, sent):
    membership = Membership.objects.get(user=owner)

    def choose(wanted):
        return sent(lambda: notices.choose(membership, wanted, actor=actor_for(owner, "any")))

    [message] = choose({*MUTABLE} - {"key.issued", "policies"})
    assert message.subject == "You switched notices off"
    assert "API keys:\n- Created\n" in message.body
    assert "Account and money:\n- Policies of API keys\n" in message.body
    assert choose({*MUTABLE} - {"key.issued", "policies"}) == []
    assert choose(MUTABLE) == []
    assert AuditEvent.objects.filter(action="notices.chosen").count() == 2


def test_members_and_those_who_are_no_owner_any_more_choose_nothing(account, owner, treasurer):
    for user in (owner, treasurer):
        membership = Membership.objects.get(user=user)
        Membership.objects.filter(user=user).update(is_owner=False)
        with pytest.raises(PermissionDenied):
            notices.choose(membership, [], actor=actor_for(user, "any"))
    assert not AuditEvent.objects.filter(action="notices.chosen").exists()


def test_a_kind_that_the_table_does_not_list_is_a_mistake(account, owner):
    with pytest.raises(KeyError):
        notify_members(account, "key.eaten", "Subject", "key_changed", actor=actor_for(owner, "any"))


def test_a_mail_server_that_is_gone_stops_nothing(owner, issue_key, settings, django_capture_on_commit_callbacks):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    key, _ = issue_key()
    with django_capture_on_commit_callbacks(execute=True):
        lifecycle.revoke(key, actor=actor_for(owner, "key.revoke"), reason="leaked")
    assert ApiKey.objects.get(pk=key.pk).revoked_at is not None
