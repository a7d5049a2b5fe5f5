"""Invitations: the link alone opens them, once, for a week, for one address."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import invitations, members, second_factor
from accounts.members import Refused
from accounts.models import AuditEvent, Invitation, KeyPermission, Membership, User
from accounts.places import Place
from accounts.views.invitations import COOKIE
from tests.conftest import COMMAND, person
from tests.factories import UserFactory
from tests.people import actor_for, code_of, sign_in

PAGE = "/invitations/open/"
ACCOUNTANT = Place("accountant", False, frozenset({KeyPermission.VIEW, KeyPermission.CREATE}))
JOIN = {"name": "Nora Vik", "new_password": "seven quiet harbours", "new_password_again": "seven quiet harbours"}


@pytest.fixture
def invite(account, owner):
    """Invite somebody as the owner: ``invite("nora@example.com")`` → (invitation, token)."""

    def invite(email: str = "nora@example.com", place: Place = ACCOUNTANT, **fields):
        actor = fields.pop("actor", None) or actor_for(owner, invitations.INVITE)
        return invitations.invite(account, actor=actor, email=email, place=place)

    return invite


def open_link(client: Client, token: str) -> Client:
    assert client.get(f"/invitations/{token}/")["Location"] == PAGE
    return client


def text_of(response) -> str:
    return response.content.decode()


# Sending


def test_the_mail_holds_the_link_and_the_database_only_its_digest(
    invite, mailoutbox, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        _invitation, token = invite("Nora@Example.com")
    (mail,) = mailoutbox
    assert mail.to == ["nora@example.com"]
    assert f"/invitations/{token}/" in mail.body
    assert "Olga invites you to Northfold Mining" in mail.body
    assert len(token) == 43
    stored = Invitation.objects.get()
    assert bytes(stored.digest) == invitations.digest_of(token)
    assert token not in str(vars(stored)) + str(AuditEvent.objects.values())
    assert stored.expires_at - timezone.now() <= timedelta(days=7)
    assert AuditEvent.objects.get(action="invitation.sent").data["access_level"] == "accountant"


def test_members_and_the_invited_are_not_invited_again_and_it_is_said_at_the_address(invite, owner):
    invite()
    for email, words in [
        (owner.email.upper(), "is a member of this account already"),
        ("NORA@example.com ", "has an open invitation"),
        ("nora", "Type an e-mail address"),
    ]:
        with pytest.raises(Refused, match=words) as refused:
            invite(email)
        assert refused.value.field == "email"


def test_one_that_ran_out_makes_room_for_a_new_one(invite):
    old, _ = invite()
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        new, _ = invite(actor=COMMAND)
        old.refresh_from_db()
        assert (old.state, new.state) == ("cancelled", "open")


def test_there_is_a_most_of_open_invitations(invite, monkeypatch):
    monkeypatch.setattr(invitations, "MOST_OPEN", 2)
    invite("a@example.com")
    invite("b@example.com")
    with pytest.raises(Refused, match="There are 2 invitations"):
        invite("c@example.com")


def test_sent_again_the_old_link_stops_and_the_new_one_lives_another_week(invite, owner):
    first, token = invite()
    actor = actor_for(owner, "none")
    with pytest.raises(Refused, match="less than a minute ago"):
        invitations.resend(first, actor=actor)
    with time_machine.travel(timezone.now() + timedelta(days=9)):
        again, new_token = invitations.resend(first, actor=actor)
        assert new_token != token
        assert again.state == "open"
        assert invitations.find(invitations.digest_of(token)) is None
        assert invitations.find(invitations.digest_of(new_token)) == again


def test_cancelling_takes_no_code_but_an_owner(invite, owner, member):
    invitation, token = invite()
    with pytest.raises(PermissionDenied):
        invitations.cancel(invitation, actor=actor_for(member, "none"))
    invitations.cancel(invitation, actor=actor_for(owner, "none"))
    assert invitations.find(invitations.digest_of(token)).state == "cancelled"
    with pytest.raises(Refused, match="was cancelled"):
        invitations.cancel(invitation, actor=actor_for(owner, "none"))


# The link


def test_the_token_leaves_the_address_at_once_and_nothing_keeps_it(invite, client):
    _, token = invite()
    response = client.get(f"/invitations/{token}/")
    assert response["Location"] == PAGE
    assert response["Referrer-Policy"] == "no-referrer"
    assert "no-store" in response["Cache-Control"]
    cookie = response.cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["path"] == "/invitations/"
    assert cookie["samesite"] == "Lax"
    assert token not in cookie.value
    page = client.get(PAGE)
    assert token not in text_of(page)
    assert not Session.objects.exists()


@pytest.mark.parametrize("token", ["x", "../a", "é%00", "a" * 3000])
def test_whatever_stands_in_the_link_is_answered_alike(client, db, token):
    response = client.get("/invitations/" + token.replace("/", "%2F") + "/")
    assert response.status_code in (302, 404)
    page = client.get(PAGE)
    assert page.status_code == 404
    assert "No invitation here" in text_of(page)


def test_a_forged_cookie_opens_nothing(invite, client):
    invitation, _ = invite()
    client.cookies[COOKIE] = bytes(invitation.digest).hex()
    assert client.get(PAGE).status_code == 404


# Accepting


def test_a_signed_in_person_sees_what_they_are_offered_and_accepts(invite, other_account):
    invited = person(other_account, "Nora", access_level="viewer")
    _, token = invite()
    client = open_link(sign_in(Client(), invited), token)
    page = text_of(client.get(PAGE))
    for words in ("Join Northfold Mining", "Olga invites you", "Accountant", "See, create"):
        assert words in page
    assert not Membership.objects.filter(user=invited, account__slug="northfold").exists()
    response = client.post(PAGE)
    assert response["Location"] == "/a/northfold/access/api-keys/"
    membership = Membership.objects.get(user=invited, account__slug="northfold")
    assert Place.of(membership) == ACCOUNTANT
    assert AuditEvent.objects.get(action="invitation.accepted").actor == invited
    assert client.get(PAGE).status_code == 404  # the cookie is gone
    # The link a second time leads in; for anybody else it is worth nothing.
    assert open_link(client, token).get(PAGE)["Location"] == "/a/northfold/access/api-keys/"
    gone = open_link(Client(), token).get(PAGE)
    assert gone.status_code == 410
    assert "was accepted" in text_of(gone)


def test_somebody_else_learns_only_a_masked_address_and_may_sign_out(invite, member):
    _, token = invite("nora@harbour.example")
    client = open_link(sign_in(Client(), member), token)
    for method in ("get", "post"):
        response = getattr(client, method)(PAGE)
        assert response.status_code == 403
        assert "n•••@h•••.example" in text_of(response)
        assert "nora@harbour.example" not in text_of(response)
    assert Membership.objects.filter(account__slug="northfold").count() == 2
    assert client.post("/sign-out/", {"next": PAGE})["Location"] == PAGE
    assert "Join Northfold Mining" in text_of(client.get(PAGE))


def test_who_has_a_user_signs_in_first_and_comes_back(invite, other_account):
    invited = person(other_account, "Nora")
    _, token = invite(invited.email)
    client = open_link(Client(), token)
    page = text_of(client.get(PAGE))
    assert "/sign-in/?next=%2Finvitations%2Fopen%2F" in page
    assert "password" not in page
    client.post(PAGE, JOIN)
    assert not Membership.objects.filter(user=invited, account__slug="northfold").exists()
    sign_in(client, invited)
    assert "Accept" in text_of(client.get(PAGE))


def test_who_became_a_user_meanwhile_is_asked_to_sign_in(invite, db):
    """As by the invitation of another account, accepted at the same moment."""
    _, token = invite()
    client = open_link(Client(), token)
    asked = []

    def be_quicker(execute, sql, *rest):
        if sql.startswith("INSERT") and '"accounts_user"' in sql and not asked:
            asked.append(sql)
            UserFactory(email="nora@example.com")
        return execute(sql, *rest)

    with connection.execute_wrapper(be_quicker):
        answer = client.post(PAGE, JOIN)
    assert asked
    assert answer.status_code == 410
    assert "Sign in to accept the invitation" in text_of(answer)


def test_a_new_person_chooses_a_password_enrols_and_is_in(invite, db):
    _, token = invite()
    client = open_link(Client(), token)
    response = client.post(PAGE, JOIN)
    assert response["Location"].startswith("/me/second-factor/?next=%2Fa%2Fnorthfold%2F")
    user = User.objects.get(email="nora@example.com")
    assert user.check_password(JOIN["new_password"])
    assert user.name == "Nora Vik"
    # A password alone opens nothing.
    assert client.get("/a/northfold/access/members/")["Location"].startswith("/sign-in/")
    client.get(response["Location"])
    codes = client.post(response["Location"], {"code": code_of(second_factor.pending_enrolment(user))})
    assert "/a/northfold/access/api-keys/" in text_of(codes)
    assert client.get("/a/northfold/access/api-keys/").status_code == 200
    assert [event.action for event in AuditEvent.objects.filter(actor=user)][-2:] == [
        "invitation.accepted",
        "user.joined",
    ]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"name": " "}, "Type your name."),
        ({"new_password_again": "seven quiet harbors"}, "The two new passwords are not the same."),
        ({"new_password": "short", "new_password_again": "short"}, "at least 12 characters"),
        ({"new_password": "nora@example.com", "new_password_again": "nora@example.com"}, "too similar"),
    ],
)
def test_what_is_wrong_is_said_and_the_name_survives_but_no_password(invite, typed, words):
    _, token = invite()
    client = open_link(Client(), token)
    page = text_of(client.post(PAGE, JOIN | typed))
    assert words in page
    assert not User.objects.filter(email="nora@example.com").exists()
    assert JOIN["new_password"] not in page
    if "name" not in typed:
        assert 'value="Nora Vik"' in page


@pytest.mark.parametrize("state", ["expired", "cancelled", "demoted"])
def test_a_link_that_is_over_says_so_and_makes_nobody_a_member(invite, owner, account, state):
    invitation, token = invite()
    later = timezone.now() + timedelta(days=8 if state == "expired" else 0)
    if state == "cancelled":
        invitations.cancel(invitation, actor=actor_for(owner, "none"))
    if state == "demoted":  # as staff would, in the admin
        Membership.objects.filter(user=owner).update(is_owner=False)
    with time_machine.travel(later):
        client = open_link(Client(), token)
        for response in (client.get(PAGE), client.post(PAGE, JOIN)):
            assert response.status_code == 410
            assert "This link no longer works" in text_of(response)
    assert not User.objects.filter(email="nora@example.com").exists()


def test_what_is_cancelled_while_the_page_is_open_is_refused(invite, owner, other_account):
    invited = person(other_account, "Nora")
    invitation, _ = invite()
    seen = invitations.find(bytes(invitation.digest))
    invitations.cancel(invitation, actor=actor_for(owner, "none"))
    with pytest.raises(Refused, match="was cancelled"):
        invitations.accept(seen, actor=actor_for(invited, "none"))
    with pytest.raises(Refused, match="another e-mail address"):
        invitations.accept(seen, actor=actor_for(owner, "none"))


def test_an_invited_owner_is_made_known_to_the_owners(invite, owner, mailoutbox, django_capture_on_commit_callbacks):
    _, token = invite(place=Place("administrator", True, frozenset(KeyPermission)))
    with django_capture_on_commit_callbacks(execute=True):
        open_link(Client(), token).post(PAGE, JOIN)
    assert {mail.to[0] for mail in mailoutbox if "now an owner" in mail.subject} == {owner.email, "nora@example.com"}


def test_addresses_are_masked_so_that_only_their_own_reader_knows_them():
    masked = [invitations.mask_email(email) for email in ("nora@harbour.example", "n@localhost", "a@b.c.no")]
    assert masked == ["n•••@h•••.example", "n•••@l•••", "a•••@b•••.no"]


def test_a_removed_inviter_s_invitations_go_with_them(invite, owner, account):
    second = person(account, "Osana", is_owner=True, access_level="administrator")
    _, token = invite(actor=actor_for(second, invitations.INVITE))
    members.remove(Membership.objects.get(user=second), actor=actor_for(owner, members.REMOVE))
    page = text_of(open_link(Client(), token).get(PAGE))
    assert re.search("This invitation was cancelled", page)
