"""People in the staff admin: what is dangerous takes a code, and nobody appoints themselves."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import people, second_factor
from accounts.audit import Actor, StepUpMissing
from accounts.changes import Refused
from accounts.models import AuditEvent, RecoveryDevice, SignedInSession, User
from accounts.passkeys import passkeys_of
from tests.accounts.passkeys import registered
from tests.factories import PASSWORD, MembershipFactory, UserFactory
from tests.people import actor_for, enrol, fresh_code


@pytest.fixture
def client(staff, sign_in_as):
    return sign_in_as(staff)


@pytest.fixture
def in_group(db):
    """Staff of one group, without anything of a superuser's."""

    def make(*groups):
        user = UserFactory(name="Astrid", is_staff=True)
        enrol(user)
        user.groups.set(Group.objects.filter(name__in=groups))
        return user

    return make


@pytest.fixture
def administrator(in_group):
    return in_group("administrators")


def page(person, name="change"):
    return f"/admin/accounts/user/{person.pk}/{name}/"


def confirm(client, who, url, **fields):
    """Post a form of ``who``'s with a code that works."""
    nonce = client.get(url).context["form"]["nonce"].value()
    return client.post(url, {"nonce": nonce, "code": fresh_code(who), **fields})


def signed_in(user, sign_in_as):
    """A browser of ``user`` that the list of sessions knows."""
    browser = sign_in_as(user)
    SignedInSession.objects.create(user=user, session_key=browser.session.session_key)
    return browser


GREY = "seven-grey-lanterns"
PERSON = {"email": "Nils@Example.com", "name": "Nils", "password1": GREY, "password2": GREY}


def test_staff_add_a_person_with_an_initial_password(client, staff):
    answer = client.post("/admin/accounts/user/add/", {**PERSON, "is_staff": "on", "is_superuser": "on"})
    assert answer.status_code == 302, answer.context["errors"]
    nils = User.objects.get(email="nils@example.com")
    assert nils.check_password("seven-grey-lanterns")
    assert not nils.is_staff
    assert not nils.is_superuser
    event = AuditEvent.objects.get(action="user.created")
    assert event.data == {"values": {"email": "Nils@Example.com", "name": "Nils"}}
    assert "lanterns" not in str(AuditEvent.objects.values())


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"password1": "short", "password2": "short"}, "password2"),
        ({"password2": "seven-grey-lamps"}, "password2"),
        ({"email": "STINA@example.com"}, "email"),
    ],
)
def test_a_person_is_refused_for_a_weak_password_or_a_known_address(client, fields, at):
    answer = client.post("/admin/accounts/user/add/", {**PERSON, **fields})
    assert at in answer.context["adminform"].form.errors
    assert "seven-grey" not in answer.content.decode()


def test_a_name_is_edited_and_nothing_else(client, staff, owner):
    fields = {"is_active", "is_staff", "is_superuser"}
    client.post(page(owner), {"name": "Olga Berg", "email": "thief@example.com", **dict.fromkeys(fields, "on")})
    owner.refresh_from_db()
    assert (owner.name, owner.email, owner.is_staff, owner.is_superuser) == (
        "Olga Berg",
        "olga@example.com",
        False,
        False,
    )
    event = AuditEvent.objects.get(action="user.changed")
    assert event.data["changes"] == {"name": {"from": "Olga", "to": "Olga Berg"}}


def test_administrators_do_so_too_but_change_no_other_staff(administrator, owner, staff, sign_in_as):
    client = sign_in_as(administrator)
    assert client.post(page(owner), {"name": "Olga Berg"}).status_code == 302
    owner.refresh_from_db()
    assert owner.name == "Olga Berg"
    assert client.get(page(staff)).status_code == 200
    assert client.post(page(staff), {"name": "Thief"}).status_code == 403
    for name in ("email", "access", "reset-second-factor"):
        assert client.get(page(staff, name)).status_code == 403, name
        assert client.post(page(staff, name), {}).status_code == 403, name


# Access


def test_superusers_put_people_into_groups_with_a_code(client, staff, owner):
    form = client.get(page(owner, "access")).content.decode()
    assert "disable API keys; " in form
    assert "revoke API keys; " in form
    chosen = {"is_active": "on", "is_staff": "on", "groups": ["support", "security"]}
    assert client.post(page(owner, "access"), {"nonce": "n", "code": "000000", **chosen}).status_code == 200
    assert not owner.groups.exists()
    assert confirm(client, staff, page(owner, "access"), **chosen)["Location"] == page(owner)
    owner.refresh_from_db()
    assert (owner.is_active, owner.is_staff, owner.is_superuser) == (True, True, False)
    assert people.group_names(owner) == ["security", "support"]
    event = AuditEvent.objects.get(action="user.access_changed")
    assert (event.actor, event.via, event.target_id) == (staff, "admin", str(owner.pk))
    assert event.data["changes"] == {
        "is_staff": {"from": False, "to": True},
        "groups": {"from": [], "to": ["security", "support"]},
    }
    assert "security, support" in client.get(page(owner)).content.decode()
    listed = client.get("/admin/accounts/user/?group=security").context["cl"].result_list
    assert [person.pk for person in listed] == [owner.pk]


@pytest.mark.parametrize("group", [str(10**40), "-1", "nobody", "\0", "x" * 10_000])
def test_a_group_that_is_none_is_an_error_of_the_field(client, staff, owner, group):
    answer = confirm(client, staff, page(owner, "access"), is_active="on", is_staff="on", groups=[group])
    assert answer.status_code == 200
    assert "groups" in answer.context["form"].errors
    owner.refresh_from_db()
    assert not owner.is_staff


def test_the_access_page_says_in_words_what_a_group_permits_and_ticks_those_of_the_person(client, in_group):
    shown = client.get(page(in_group("security"), "access"))
    html = shown.content.decode()
    for words in ("view account, API key, audit event", "disable API keys", "retire a signing key, which stops every"):
        assert words in html
    assert not re.search("[a-z]_[a-z]|supportkey|signingkey|: ", " ".join(re.findall(r'ph-under">([^<]+)', html)))
    assert shown.context["form"]["groups"].value() == ["security"]
    assert html.count('name="groups"') == 3
    assert re.search(r'name="groups" value="security"[^>]*checked', html)


def test_groups_without_being_staff_are_refused(client, staff, owner):
    answer = confirm(client, staff, page(owner, "access"), is_active="on", groups=["support"])
    assert "Groups are for staff" in str(answer.context["form"].errors["groups"])
    assert not owner.groups.exists()


def test_who_is_switched_off_is_signed_out_at_once(client, staff, owner, sign_in_as):
    browser = signed_in(owner, sign_in_as)
    session_key = browser.session.session_key
    confirm(client, staff, page(owner, "access"))
    owner.refresh_from_db()
    assert not owner.is_active
    assert not owner.signed_in_sessions.exists()
    assert not Session.objects.filter(session_key=session_key).exists()
    assert browser.get("/me/").status_code == 302


def test_a_second_post_of_one_form_changes_nothing_more(client, staff, owner):
    url = page(owner, "access")
    form = {"nonce": "form-1", "code": fresh_code(staff), "is_active": "on", "is_staff": "on"}
    client.post(url, form)
    client.post(url, {"nonce": "form-1", "code": fresh_code(staff), "is_active": "on"})
    owner.refresh_from_db()
    assert owner.is_staff


@pytest.mark.parametrize("group", ["support", "security", "administrators"])
def test_nobody_but_a_superuser_appoints_anybody(group, in_group, owner, sign_in_as):
    person = in_group(group)
    client = sign_in_as(person)
    everything = {"is_active": "on", "is_staff": "on", "is_superuser": "on", "groups": Group.objects.values("pk")}
    for whom in (owner, person):
        assert client.get(page(whom, "access")).status_code == 403
        assert client.post(page(whom, "access"), {**everything, "code": fresh_code(person)}).status_code == 403
        client.post(page(whom), {"name": whom.name, **everything})
    assert people.group_names(person) == [group]
    assert not User.objects.filter(pk=owner.pk, is_staff=True).exists()
    actor = actor_for(person, people.GIVE_ACCESS, via="admin")
    with pytest.raises(Refused):
        people.give_access(owner, active=True, staff=True, actor=actor)


def test_not_even_superusers_change_their_own_access(client, staff):
    assert client.post(page(staff, "access"), {"is_active": "on"}).status_code == 403
    assert "Access</a>" not in client.get(page(staff)).content.decode()
    with pytest.raises(Refused):
        people.give_access(staff, active=True, staff=False, actor=actor_for(staff, people.GIVE_ACCESS, via="admin"))
    staff.refresh_from_db()
    assert (staff.is_active, staff.is_staff) == (True, True)


# The address


def test_an_address_is_changed_with_a_code_and_both_are_told(
    administrator, owner, sign_in_as, mailoutbox, django_capture_on_commit_callbacks
):
    client = sign_in_as(administrator)
    with django_capture_on_commit_callbacks(execute=True):
        answer = confirm(client, administrator, page(owner, "email"), email="Olga@Northfold.example")
    assert answer["Location"] == page(owner)
    owner.refresh_from_db()
    assert owner.email == "olga@northfold.example"
    event = AuditEvent.objects.get(action="user.email_changed")
    assert event.data == {"changes": {"email": {"from": "olga@example.com", "to": "olga@northfold.example"}}}
    assert [message.to for message in mailoutbox] == [["olga@example.com"], ["olga@northfold.example"]]
    assert "The pool’s staff changed the e-mail address" in mailoutbox[0].body


@pytest.mark.parametrize("email", ["", "nonsense", "STINA@example.com"])
def test_an_address_that_is_none_or_somebody_elses_is_refused(client, staff, owner, email):
    answer = confirm(client, staff, page(owner, "email"), email=email)
    assert "email" in answer.context["form"].errors
    owner.refresh_from_db()
    assert owner.email == "olga@example.com"


# A lost second factor


def test_a_lost_second_factor_is_reset(
    administrator, owner, sign_in_as, client, mailoutbox, django_capture_on_commit_callbacks
):
    registered(owner)
    second_factor.make_recovery_codes(owner, actor=Actor.for_command("tests"))
    browser = signed_in(owner, sign_in_as)
    mailoutbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        reset = confirm(
            sign_in_as(administrator), administrator, page(owner, "reset-second-factor"), reason="Called back"
        )
    assert reset["Location"] == page(owner)
    assert not second_factor.has_second_factor(owner)
    assert not TOTPDevice.objects.filter(user=owner).exists()
    assert not passkeys_of(owner).exists()
    assert not RecoveryDevice.objects.filter(user=owner).exists()
    assert browser.get("/me/")["Location"].startswith("/sign-in/")
    event = AuditEvent.objects.get(action="second_factor.reset")
    assert event.data == {"reason": "Called back", "apps": 1, "passkeys": 1, "recovery_codes": 10}
    (message,) = mailoutbox
    assert message.to == [owner.email]
    assert "removed your second factors" in message.body
    client.logout()
    assert client.post("/sign-in/", {"email": owner.email, "password": PASSWORD})["Location"] == "/me/second-factor/"


def test_a_reset_takes_a_reason_and_a_code(client, staff, owner):
    url = page(owner, "reset-second-factor")
    assert "reason" in confirm(client, staff, url).context["form"].errors
    answer = client.post(url, {"nonce": "n", "code": "000000", "reason": "Called back"})
    assert "code" in answer.context["form"].errors
    assert second_factor.has_second_factor(owner)


@pytest.mark.parametrize(
    "change",
    [
        lambda person, actor: people.change_email(person, "new@example.com", actor=actor),
        lambda person, actor: people.give_access(person, active=False, staff=False, actor=actor),
        lambda person, actor: people.reset_second_factor(person, reason="", actor=actor),
    ],
)
def test_none_of_it_happens_without_a_fresh_proof(change, staff, owner):
    with pytest.raises(StepUpMissing):
        change(owner, actor_for(staff, "key.issue", via="admin"))


def test_who_became_staff_meanwhile_is_out_of_an_administrators_reach(administrator, owner):
    actor = actor_for(administrator, people.RESET_SECOND_FACTOR, via="admin")
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    with pytest.raises(Refused):
        people.reset_second_factor(owner, reason="Called back", actor=actor)
    assert second_factor.has_second_factor(owner)


# Out of every browser


@pytest.mark.parametrize("group", ["security", "administrators"])
def test_a_person_is_signed_out_everywhere_with_one_click(group, in_group, owner, sign_in_as):
    first, second = signed_in(owner, sign_in_as), signed_in(owner, sign_in_as)
    client = sign_in_as(in_group(group))
    assert "In 2 browsers" in client.get(page(owner)).content.decode()
    assert client.get(page(owner, "sign-out")).status_code == 405
    assert client.post(page(owner, "sign-out"))["Location"] == page(owner)
    assert [browser.get("/me/").status_code for browser in (first, second)] == [302, 302]
    event = AuditEvent.objects.get(action="sessions.ended")
    assert (event.via, event.data) == ("admin", {"count": 2})


def test_support_is_shown_no_button_that_it_may_not_use(in_group, owner, sign_in_as):
    html = sign_in_as(in_group("support")).get(page(owner)).content.decode()
    for name in ("email", "access", "reset-second-factor", "sign-out"):
        assert page(owner, name) not in html
    assert 'name="name"' not in html


def test_passwords_are_neither_shown_nor_set_nor_searched(client, owner):
    page = client.get(f"/admin/accounts/user/{owner.pk}/change/").content.decode()
    assert "argon2" not in page
    assert client.get(f"/admin/accounts/user/{owner.pk}/password/").status_code in {302, 404}
    before = owner.password
    client.post(f"/admin/accounts/user/{owner.pk}/change/", {"email": owner.email, "name": "O", "password": "x"})
    owner.refresh_from_db()
    assert owner.password == before


@pytest.mark.parametrize(
    "query",
    [
        "password__startswith=argon2",
        "totpdevice__key__startswith=a",
        "recoverydevice__codes__digest__startswith=a",
        "email__startswith=a",
    ],
)
def test_no_list_of_people_can_be_probed_through_lookups(client, query):
    assert client.get(f"/admin/accounts/user/?{query}").status_code == 400


def test_seeds_and_recovery_codes_have_no_pages(client):
    for path in ["otp_totp/totpdevice/", "accounts/recoverydevice/", "accounts/recoverycode/", "auth/group/"]:
        assert client.get(f"/admin/{path}").status_code == 404


def test_people_are_found_by_part_of_name_or_address(client, owner):
    url = "/admin/autocomplete/?app_label=accounts&model_name=membership&field_name=user"
    assert client.get(f"{url}&term=olg").json()["results"] == [{"id": str(owner.pk), "text": "Olga <olga@example.com>"}]


def test_a_persons_page_leads_to_their_accounts(client, owner, account, other_account):
    MembershipFactory(account=other_account, user=owner, access_level="viewer")
    shown = client.get(page(owner)).content.decode()
    for belongs, what in [(account, "Owner"), (other_account, "Viewer")]:
        assert f'<a href="/admin/accounts/account/{belongs.pk}/change/">{belongs}</a>, {what}' in shown


def test_passkeys_go_by_the_name_that_people_know(client, owner):
    passkey, _ = registered(owner)
    for path in ("", f"{passkey.pk}/change/"):
        text = client.get(f"/admin/django_otp_webauthn/webauthncredential/{path}").content.decode()
        assert "WebAuthn" not in text
        assert "asskey" in text
