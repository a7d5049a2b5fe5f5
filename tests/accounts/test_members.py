"""What owners may do to the members of their account, and what nobody may."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied

from accounts import invitations, members
from accounts.access import membership_for
from accounts.audit import StepUpMissing
from accounts.members import Refused
from accounts.models import AuditEvent, Invitation, KeyPermission, Membership
from accounts.places import Place
from tests.conftest import person
from tests.people import actor_for

OWNER = Place("administrator", True, frozenset(KeyPermission))
ACCOUNTANT = Place("accountant", False, frozenset({KeyPermission.VIEW}))


def place_of(user):
    return Membership.objects.get(user=user)


@pytest.fixture
def second_owner(account):
    return person(account, "Osana", is_owner=True, access_level="administrator")


def test_an_owner_changes_level_and_rights_and_the_trail_says_what_was_before(owner, member):
    members.change(place_of(member), ACCOUNTANT, actor=actor_for(owner, members.CHANGE))
    changed = place_of(member)
    assert changed.access_level == "accountant"
    assert changed.key_permissions == {KeyPermission.VIEW}
    event = AuditEvent.objects.get(action="member.changed")
    assert event.actor == owner
    assert event.data["changes"] == {"access_level": ["viewer", "accountant"]}


def test_a_change_of_nothing_is_no_event(owner, member):
    members.change(place_of(member), Place.of(place_of(member)), actor=actor_for(owner, members.CHANGE))
    assert not AuditEvent.objects.filter(action="member.changed").exists()


@pytest.mark.parametrize("who", ["treasurer", "member", "outsider"])
def test_nobody_but_an_owner_of_this_account_changes_or_removes_anybody(request, owner, account, who):
    actor = request.getfixturevalue(who)
    victim = place_of(person(account, "Vera"))
    with pytest.raises(PermissionDenied):
        members.change(victim, OWNER, actor=actor_for(actor, members.CHANGE))
    with pytest.raises(PermissionDenied):
        members.remove(victim, actor=actor_for(actor, members.REMOVE))
    with pytest.raises(PermissionDenied):
        invitations.invite(account, actor=actor_for(actor, invitations.INVITE), email="a@b.example", place=ACCOUNTANT)
    assert place_of(victim.user).access_level == "viewer"


def test_each_change_takes_the_proof_of_exactly_its_own_action(owner, member, account):
    wrong = actor_for(owner, "key.issue")
    with pytest.raises(StepUpMissing):
        members.change(place_of(member), ACCOUNTANT, actor=wrong)
    with pytest.raises(StepUpMissing):
        members.remove(place_of(member), actor=wrong)
    with pytest.raises(StepUpMissing):
        invitations.invite(account, actor=wrong, email="a@b.example", place=ACCOUNTANT)


def test_the_last_owner_can_neither_step_down_nor_go(owner):
    with pytest.raises(Refused, match="Olga is the only owner of Northfold Mining") as refused:
        members.change(place_of(owner), ACCOUNTANT, actor=actor_for(owner, members.CHANGE))
    assert refused.value.field == "is_owner"
    with pytest.raises(Refused, match="Make somebody else an owner first"):
        members.remove(place_of(owner), actor=actor_for(owner, members.REMOVE))
    assert place_of(owner).is_owner


def test_an_owner_whom_staff_switched_off_does_not_count(owner, second_owner):
    second_owner.is_active = False
    second_owner.save()
    with pytest.raises(Refused, match="only owner"):
        members.remove(place_of(owner), actor=actor_for(owner, members.REMOVE))


def test_one_of_two_owners_may_step_down_and_what_they_had_invited_is_cancelled(owner, second_owner, account):
    invitations.invite(
        account, actor=actor_for(second_owner, invitations.INVITE), email="friend@example.com", place=OWNER
    )
    members.change(place_of(second_owner), ACCOUNTANT, actor=actor_for(owner, members.CHANGE))
    assert not place_of(second_owner).is_owner
    assert Invitation.objects.get().state == "cancelled"
    assert AuditEvent.objects.filter(action="invitation.cancelled").exists()


def test_an_owner_is_an_administrator_and_who_works_with_keys_sees_them(owner, member):
    actor = actor_for(owner, members.CHANGE)
    for place, field in [
        (Place("viewer", True), "access_level"),
        (Place("king"), "access_level"),
        (Place("viewer", False, frozenset({KeyPermission.CREATE})), "key_permissions"),
    ]:
        with pytest.raises(Refused) as refused:
            members.change(place_of(member), place, actor=actor)
        assert refused.value.field == field


def test_a_removed_member_is_out_is_told_and_stands_in_the_trail(
    owner, member, account, mailoutbox, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        members.remove(place_of(member), actor=actor_for(owner, members.REMOVE))
    assert not Membership.objects.filter(user=member).exists()
    to_owner, to_member = mailoutbox
    assert (to_owner.to, to_owner.subject) == ([owner.email], "Milo was removed from Northfold Mining")
    assert to_member.to == [member.email]
    assert "Olga removed you from Northfold Mining" in to_member.body
    event = AuditEvent.objects.get(action="member.removed")
    assert (event.actor, event.account, event.data["email"]) == (owner, account, member.email)


def test_everybody_may_leave_and_the_owners_are_told(owner, member, mailoutbox, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        members.remove(place_of(member), actor=actor_for(member, members.REMOVE))
    assert AuditEvent.objects.get(action="member.left").actor == member
    (mail,) = mailoutbox
    assert (mail.to, mail.subject) == ([owner.email], "Milo left Northfold Mining")
    assert "?status=all&creator=left" in mail.body


def test_who_was_removed_meanwhile_removes_nobody_with_a_proof_from_before(owner, second_owner, member):
    proven = actor_for(second_owner, members.REMOVE)
    members.remove(place_of(second_owner), actor=actor_for(owner, members.REMOVE))
    with pytest.raises(PermissionDenied):
        members.remove(place_of(member), actor=proven)


def test_every_owner_hears_of_a_new_one(owner, member, mailoutbox, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        members.change(place_of(member), OWNER, actor=actor_for(owner, members.CHANGE))
    assert {mail.to[0] for mail in mailoutbox} == {owner.email, member.email}
    assert mailoutbox[0].subject == "Milo is now an owner of Northfold Mining"
    assert membership_for(member, "northfold").is_owner


def test_removing_somebody_who_is_gone_already_is_said_in_words(owner, member):
    there = place_of(member)
    members.remove(there, actor=actor_for(owner, members.REMOVE))
    with pytest.raises(Refused, match="no longer a member"):
        members.remove(there, actor=actor_for(owner, members.REMOVE))
