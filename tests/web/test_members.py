"""The members' pages, the account switcher, and the flag on keys whose creator left."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from io import StringIO

import pytest
from django.utils import timezone

from accounts import invitations, members
from accounts.members import Place
from accounts.models import Invitation, KeyPermission, Membership
from apikeys.models import ApiKey
from apikeys.redaction import RedactKeys
from tests.conftest import COMMAND, person
from tests.factories import MembershipFactory
from tests.people import actor_for, fresh_code
from tests.web.conftest import KEYS

MEMBERS = "/a/northfold/access/members/"


def text_of(response) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


def row_of(page: str, name: str) -> str:
    return next(row for row in page.split("<tr")[1:] if name in row)


def filled(user, **changes):
    """What an owner types to invite somebody, with a working code."""
    return {
        "email": "nora@example.com",
        "access_level": "accountant",
        "key_permissions": ["api_keys.view"],
        "nonce": "nonce-of-this-page",
        "code": fresh_code(user),
        **changes,
    }


def place(user) -> Membership:
    return Membership.objects.get(user=user, account__slug="northfold")


def test_every_member_sees_the_others_with_level_rights_and_second_factor(sign_in_as, owner, treasurer, account):
    person(account, "Vera").totpdevice_set.all().delete()
    page = text_of(sign_in_as(treasurer).get(MEMBERS))
    assert "Owner" in row_of(page, "Olga")
    assert "See, create, change, revoke" in row_of(page, "Tove")
    assert "Treasurer" in row_of(page, "Tove")
    assert "Not set up" in row_of(page, "Vera")
    assert "Set up" in row_of(page, "Olga")
    assert "olga@example.com" in page


def test_who_is_no_owner_sees_why_they_change_nothing_and_may_leave(sign_in_as, owner, member):
    page = text_of(sign_in_as(member).get(MEMBERS))
    assert "Only an owner changes members: ask Olga." in page
    assert "invite/" not in page
    assert "disabled" in row_of(page, "Olga")
    assert f"{MEMBERS}{place(member).pk}/remove/" in row_of(page, "Milo")


def test_the_last_owner_s_row_says_why_they_stay(sign_in_as, owner, account):
    client = sign_in_as(owner)
    page = text_of(client.get(MEMBERS))
    assert "Make somebody else an owner first." in row_of(page, "Olga")
    assert "you are alone here" in page
    answer = client.get(f"{MEMBERS}{place(owner).pk}/remove/", follow=True)
    assert "is the only owner of Northfold Mining" in text_of(answer)


def test_the_list_asks_as_much_for_many_people_as_for_one(sign_in_as, owner, account, django_assert_max_num_queries):
    client = sign_in_as(owner)
    client.get(MEMBERS)
    for number in range(12):
        person(account, f"Person{number}")
        Invitation.objects.create(
            account=account, email=f"i{number}@example.com", digest=bytes([number] * 32), invited_by=owner,
            expires_at=timezone.now() + timedelta(days=number - 3),
        )  # fmt: skip
    with django_assert_max_num_queries(10):
        page = text_of(client.get(MEMBERS))
    assert page.count("Expired") == 4


def test_an_owner_invites_with_a_code_and_the_row_stands_there(sign_in_as, owner, account):
    client = sign_in_as(owner)
    page = text_of(client.post(f"{MEMBERS}invite/", filled(owner), follow=True))
    assert "nora@example.com is invited." in page
    assert "Accountant" in row_of(page, ">nora@example.com<")
    # The same form again is no second invitation and no error.
    assert client.post(f"{MEMBERS}invite/", filled(owner)).status_code == 200
    again = client.post(f"{MEMBERS}invite/", filled(owner, email="other@example.com"))
    assert again["Location"] == MEMBERS
    assert Invitation.objects.count() == 1


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"email": "nora"}, "email", "Type an e-mail address such as name@example.com."),
        ({"email": ""}, "email", "Type the e-mail address of the person whom you invite."),
        ({"email": "Olga@example.com"}, "email", "is a member of this account already"),
        ({"access_level": ""}, "access_level", "Choose an access level."),
        ({"access_level": "king"}, "access_level", "Select a valid choice"),
        ({"key_permissions": ["api_keys.create"]}, "key_permissions", "tick “See API keys” as well"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_burns_no_code(sign_in_as, owner, account, typed, field, words):
    client = sign_in_as(owner)
    data = filled(owner) | typed
    response = client.post(f"{MEMBERS}invite/", data)
    assert words in str(response.context["form"].errors[field])
    assert words in text_of(response)
    if "email" not in typed:
        assert 'value="nora@example.com"' in text_of(response)
    assert client.post(f"{MEMBERS}invite/", filled(owner, code=data["code"])).status_code == 302


def test_the_owner_s_box_settles_level_and_rights(sign_in_as, owner, account):
    client = sign_in_as(owner)
    data = filled(owner, is_owner="on", key_permissions=[])
    del data["access_level"]
    assert client.post(f"{MEMBERS}invite/", data)["Location"] == MEMBERS
    invitation = Invitation.objects.get()
    assert Place.of(invitation) == Place("administrator", True, frozenset(KeyPermission))


def test_an_owner_changes_a_member_and_the_last_owner_s_box_is_refused(sign_in_as, owner, member):
    client = sign_in_as(owner)
    data = filled(owner, key_permissions=["api_keys.view", "api_keys.delete"])
    assert client.post(f"{MEMBERS}{place(member).pk}/edit/", data)["Location"] == MEMBERS
    assert place(member).can_delete_keys
    answer = client.post(f"{MEMBERS}{place(owner).pk}/edit/", filled(owner, nonce="2"))
    assert "Olga is the only owner of Northfold Mining." in text_of(answer)
    assert place(owner).is_owner


def test_the_removal_page_counts_the_keys_that_stay(sign_in_as, owner, treasurer, issue_key):
    issue_key(actor=actor_for(treasurer, "key.issue"))
    issue_key(actor=actor_for(treasurer, "key.issue"))
    client = sign_in_as(owner)
    page = text_of(client.get(f"{MEMBERS}{place(treasurer).pk}/remove/"))
    assert "2 active keys that they created stay the account’s" in page


def test_a_removed_member_is_out_at_the_next_click_with_a_page_open_and_a_code_typed(
    sign_in_as, owner, treasurer, api, issue_key
):
    out = sign_in_as(treasurer)
    assert out.get(f"{KEYS}create/").status_code == 200
    _key, secret = issue_key(actor=actor_for(treasurer, "key.issue"))
    response = sign_in_as(owner).post(f"{MEMBERS}{place(treasurer).pk}/remove/", filled(owner))
    assert response["Location"] == MEMBERS
    assert out.get(KEYS).status_code == 404
    assert out.get(MEMBERS).status_code == 404
    data = {"name": "late", "environment": "production", "access_level": "viewer", "code": fresh_code(treasurer)}
    assert out.post(f"{KEYS}create/", data).status_code == 404
    assert ApiKey.objects.count() == 1
    # The key is the account's, not theirs.
    assert api(secret).get("/api/v1/key").status_code == 200


def test_whoever_leaves_is_out_and_lands_where_they_belong(sign_in_as, member, owner):
    client = sign_in_as(member)
    page = text_of(client.get(f"{MEMBERS}{place(member).pk}/remove/"))
    assert "Leave Northfold Mining?" in page
    response = client.post(f"{MEMBERS}{place(member).pk}/remove/", filled(member), follow=True)
    assert "You belong to no account yet" in text_of(response)


def test_members_of_another_account_are_not_found(sign_in_as, owner, outsider):
    foreign = Membership.objects.get(user=outsider)
    client = sign_in_as(owner)
    for page in ("edit", "remove"):
        assert client.get(f"{MEMBERS}{foreign.pk}/{page}/").status_code == 404
    other, _ = invitations.invite(foreign.account, actor=COMMAND, email="n@example.com", place=Place("viewer"))
    for deed in ("resend", "cancel"):
        assert client.post(f"{MEMBERS}invitations/{other.pk}/{deed}/").status_code == 404


# The switcher


@pytest.fixture
def two_accounts(member, other_account):
    MembershipFactory(account=other_account, user=member, access_level="viewer", can_view_keys=True)
    return member


def switches(page: str) -> list[str]:
    return re.findall(r'<a href="(/a/[^"]+)"[^>]*><span class="ph-tile"', page)


def test_switching_keeps_the_section_where_it_may_be_seen(sign_in_as, two_accounts, issue_key):
    client = sign_in_as(two_accounts)
    key, _ = issue_key()
    for path, there in [
        (MEMBERS, "access/members/"),
        (KEYS, "access/api-keys/"),
        (f"{KEYS}{key.key_id}/", "access/api-keys/"),
        ("/a/northfold/access/roles/", "access/roles/"),
    ]:
        page = text_of(client.get(path))
        assert switches(page) == [f"/a/borealis/{there}", f"/a/northfold/{there}"]
    Membership.objects.filter(user=two_accounts, account__slug="borealis").update(can_view_keys=False)
    assert switches(text_of(client.get(KEYS)))[0] == "/a/borealis/access/members/"


def test_the_home_page_leads_back_to_the_account_of_the_last_visit(sign_in_as, two_accounts):
    client = sign_in_as(two_accounts)
    assert client.get("/")["Location"] == "/a/borealis/access/api-keys/"
    client.get(MEMBERS)
    cookie = client.cookies["pithead-account"]
    assert (cookie.value, cookie["httponly"], cookie["samesite"]) == ("northfold", True, "Lax")
    assert client.get("/")["Location"] == KEYS
    # It opens nothing: where they no longer belong it counts for nothing.
    place(two_accounts).delete()
    assert client.get(MEMBERS).status_code == 404
    assert client.get("/")["Location"] == "/a/borealis/access/api-keys/"


# Keys of people who left


def test_a_key_is_flagged_from_the_moment_that_its_creator_is_no_member(owner, treasurer, staff, issue_key):
    theirs, _ = issue_key(name="theirs", actor=actor_for(treasurer, "key.issue"))
    issue_key(name="of a command")
    issue_key(name="of staff", actor=actor_for(staff, "key.issue", via="admin"))
    issue_key(name="of the owner", actor=actor_for(owner, "key.issue"))
    assert not ApiKey.objects.creator_left().exists()
    members.remove(place(treasurer), actor=actor_for(owner, members.REMOVE))
    assert ApiKey.objects.creator_left().get() == theirs
    flagged = {key.name: key.creator_left for key in ApiKey.objects.with_creator_left()}
    assert flagged == {"theirs": True, "of a command": False, "of staff": False, "of the owner": False}


def test_a_creator_who_is_a_member_elsewhere_only_is_flagged_here(owner, treasurer, other_account, issue_key):
    issue_key(actor=actor_for(treasurer, "key.issue"))
    MembershipFactory(account=other_account, user=treasurer)
    place(treasurer).delete()
    assert ApiKey.objects.creator_left().count() == 1


def test_the_list_and_the_key_s_page_flag_it_and_lead_to_a_review(sign_in_as, owner, treasurer, issue_key):
    client = sign_in_as(owner)
    key, _ = issue_key(name="theirs", actor=actor_for(treasurer, "key.issue"))
    issue_key(name="another", actor=actor_for(owner, "key.issue"))
    for path in (KEYS, f"{KEYS}{key.key_id}/"):
        assert "Creator left" not in text_of(client.get(path))
    members.remove(place(treasurer), actor=actor_for(owner, members.REMOVE))
    page = text_of(client.get(KEYS))
    assert "1 key was issued by somebody who is no longer a member." in page
    assert 'href="/a/northfold/access/api-keys/?status=all&amp;creator=left"' in page
    assert "Creator left" in row_of(page, ">theirs</a>")
    assert "Creator left" not in row_of(page, ">another</a>")
    assert "Creator left" in text_of(client.get(f"{KEYS}{key.key_id}/"))
    review = text_of(client.get(f"{KEYS}?status=all&creator=left"))
    assert ">theirs</a>" in review
    assert ">another</a>" not in review
    # The status and the search keep the review.
    assert "creator=left" in review.split("ph-segments")[1].split("</nav>")[0]
    assert '<input type="hidden" name="creator" value="left">' in review


# Logs


def test_the_token_of_a_mailed_link_is_masked_in_whatever_line_holds_its_address():
    sink = StringIO()
    handler = logging.StreamHandler(sink)
    handler.addFilter(RedactKeys())
    logger = logging.getLogger("tests.invitations")
    logger.addHandler(handler)
    try:
        logger.error("Internal Server Error: %s", "/invitations/TOKEN-of_43/")
        logger.error("see /invitations/open/ for more")
        logger.error("Forbidden (%s): %s", "CSRF", "/sign-in/new-password/MTI/TOKEN-a1b2c3/")
        logger.error("see /sign-in/new-password/MTI/set-password/ for more")
    finally:
        logger.removeHandler(handler)
    assert "TOKEN" not in sink.getvalue()
    assert "/invitations/[redacted]/" in sink.getvalue()
    assert "/invitations/open/" in sink.getvalue()
    assert "/sign-in/new-password/MTI/[redacted]/" in sink.getvalue()
    assert "/sign-in/new-password/MTI/set-password/" in sink.getvalue()
