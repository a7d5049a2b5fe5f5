"""Parallel changes of an account's people: an owner is always left, and one invitation makes one member."""

from __future__ import annotations

import pytest

from accounts import invitations, members
from accounts.members import Place, Refused
from accounts.models import Invitation, KeyPermission, Membership, User
from tests.conftest import COMMAND, person
from tests.people import actor_for
from tests.security.racing import race

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

VIEWER = Place("viewer", False, frozenset({KeyPermission.VIEW}))


def test_two_owners_who_remove_or_demote_each_other_leave_one(account, owner):
    for number in range(4):
        other = person(account, f"Osana{number}", is_owner=True, access_level="administrator")
        one, two = Membership.objects.get(user=owner), Membership.objects.get(user=other)

        def remove(by, victim):
            return lambda: members.remove(victim, actor=actor_for(by, members.REMOVE))

        def demote(by, victim):
            return lambda: members.change(victim, VIEWER, actor=actor_for(by, members.CHANGE))

        runs = [remove(owner, two), remove(other, one)] if number % 2 else [demote(owner, two), demote(other, one)]
        results = race(runs)
        assert sum(isinstance(result, Exception) for result in results) == 1, results
        owners = Membership.objects.filter(account=account, is_owner=True)
        assert owners.count() == 1
        owner = owners.get().user


def test_an_owner_who_leaves_beside_the_other_is_kept(account, owner):
    other = person(account, "Osana", is_owner=True, access_level="administrator")
    leave = [
        lambda user=user: members.remove(Membership.objects.get(user=user), actor=actor_for(user, members.REMOVE))
        for user in (owner, other)
    ]
    results = race(leave)
    assert sum(isinstance(result, Refused) for result in results) == 1, results
    assert Membership.objects.filter(account=account, is_owner=True).count() == 1


def test_one_invitation_accepted_ten_times_at_once_makes_one_member(account, owner, other_account):
    invited = person(other_account, "Nora")
    invitation, _ = invitations.invite(account, actor=COMMAND, email=invited.email, place=VIEWER)
    accept = lambda: invitations.accept(invitation, actor=actor_for(invited, "none"))  # noqa: E731
    results = race([accept] * 10)
    assert {type(result) for result in results} == {Membership}, results
    assert Membership.objects.filter(account=account, user=invited).count() == 1


def test_one_link_used_by_many_strangers_at_once_makes_one_user(account, owner):
    invitation, _ = invitations.invite(account, actor=COMMAND, email="nora@example.com", place=VIEWER)

    def join(number):
        password = f"seven quiet harbours {number}"
        return lambda: invitations.join(invitation, name=f"Nora {number}", password=password, address=None)

    results = race([join(number) for number in range(6)])
    assert sum(isinstance(result, Membership) for result in results) == 1, results
    assert sum(isinstance(result, Refused) for result in results) == 5, results
    assert User.objects.filter(email="nora@example.com").count() == 1


def test_an_invitation_cancelled_beside_its_acceptance_is_one_or_the_other(account, owner):
    for number in range(4):
        user = person(None, f"Nora{number}")
        invitation, _ = invitations.invite(account, actor=COMMAND, email=user.email, place=VIEWER)
        race(
            [
                lambda it=invitation, user=user: invitations.accept(it, actor=actor_for(user, "none")),
                lambda it=invitation: invitations.cancel(it, actor=actor_for(owner, "none")),
            ]
        )
        after = Invitation.objects.get(pk=invitation.pk)
        is_member = Membership.objects.filter(account=account, user=user).exists()
        assert (after.state, is_member) in [("accepted", True), ("cancelled", False)]


def test_ten_invitations_of_one_address_at_once_are_one(account, owner):
    send = lambda: invitations.invite(  # noqa: E731
        account, actor=actor_for(owner, invitations.INVITE), email="nora@example.com", place=VIEWER
    )
    results = race([send] * 10)
    assert sum(isinstance(result, Refused) for result in results) == 9, results
    assert Invitation.objects.count() == 1
