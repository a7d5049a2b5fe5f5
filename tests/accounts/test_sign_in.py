"""Sign-in: password, then a second factor; nobody is signed in on a password alone."""

from __future__ import annotations

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import second_factor
from accounts.audit import Actor
from tests.factories import PASSWORD, UserFactory
from tests.people import code_of, fresh_code

KEYS = "/a/northfold/access/api-keys/"


def password_step(client: Client, user, password: str = PASSWORD, **more):
    return client.post("/sign-in/", {"email": user.email, "password": password, **more})


def test_password_and_code_open_the_page_that_was_asked_for(client, owner):
    assert client.get(KEYS)["Location"] == f"/sign-in/?next={KEYS}"
    step = password_step(client, owner, next=KEYS)
    assert step["Location"].startswith("/sign-in/code/?next=")
    done = client.post(step["Location"], {"code": fresh_code(owner), "next": KEYS})
    assert done["Location"] == KEYS
    assert client.get(KEYS).status_code == 200


def test_a_password_alone_opens_nothing(client, owner):
    password_step(client, owner)
    assert client.get(KEYS).status_code == 302
    assert client.get("/me/recovery-codes/").status_code == 302
    assert "Set up two-factor" not in client.get("/me/second-factor/", follow=True).content.decode()


def test_capitals_in_the_address_do_not_matter(client, owner):
    response = client.post("/sign-in/", {"email": owner.email.upper(), "password": PASSWORD})
    assert response["Location"] == "/sign-in/code/"


def test_a_wrong_address_and_a_wrong_password_answer_alike(client, owner):
    wrong_password = password_step(client, owner, "not the password").content.decode()
    nobody = client.post("/sign-in/", {"email": "nobody@example.com", "password": "x"}).content.decode()
    sentence = "That e-mail address and password do not fit together."
    assert sentence in wrong_password
    assert sentence in nobody


def test_the_session_key_changes_at_both_steps(client, owner):
    client.get("/sign-in/")
    keys = []
    password_step(client, owner)
    keys.append(client.session.session_key)
    client.post("/sign-in/code/", {"code": fresh_code(owner)})
    keys.append(client.session.session_key)
    assert len({*keys}) == 2
    assert Session.objects.count() == 1


def test_a_session_planted_before_sign_in_is_not_the_one_after(client, owner):
    session = client.session
    session["planted"] = "by somebody else"
    session.save()
    planted = session.session_key
    password_step(client, owner)
    client.post("/sign-in/code/", {"code": fresh_code(owner)})
    assert client.session.session_key != planted
    assert "planted" not in client.session


def test_the_step_between_lasts_ten_minutes(client, owner):
    with time_machine.travel("2026-11-21 10:00:00+00:00", tick=False):
        password_step(client, owner)
    with time_machine.travel("2026-11-21 10:10:01+00:00", tick=False):
        assert client.post("/sign-in/code/", {"code": fresh_code(owner)})["Location"] == "/sign-in/"


def test_a_changed_password_ends_the_step_between(client, owner):
    password_step(client, owner)
    owner.set_password("another long passphrase")
    owner.save()
    assert client.post("/sign-in/code/", {"code": fresh_code(owner)})["Location"] == "/sign-in/"


def test_a_person_who_was_switched_off_is_out_at_the_next_click(sign_in_as, owner):
    client = sign_in_as(owner)
    assert client.get(KEYS).status_code == 200
    owner.is_active = False
    owner.save()
    assert client.get(KEYS).status_code == 302


def test_a_removed_device_ends_the_session(sign_in_as, owner):
    client = sign_in_as(owner)
    TOTPDevice.objects.filter(user=owner).delete()
    assert client.get(KEYS).status_code == 302


def test_next_never_leads_to_another_site(client, owner):
    for target in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
        password_step(client, owner, next=target)
        done = client.post("/sign-in/code/", {"code": fresh_code(owner), "next": target})
        assert done["Location"] == "/"
        client.post("/sign-out/")


@pytest.mark.parametrize("target", ["-1", "2026-02-30", "a\x00b", "\N{ROCKET}", "web:home", "access/", "/a\x00b"])
def test_a_next_that_is_no_address_of_ours_breaks_nothing(sign_in_as, owner, target):
    client = sign_in_as(owner)
    for path in ("/language/", "/me/theme/"):
        answer = client.post(path, {"next": target})
        assert answer.status_code == 302, path
        assert answer["Location"] == ("/a%00b" if target.startswith("/") else "/sign-in/" if "lang" in path else "/")


def test_a_recovery_code_signs_in_once(client, owner):
    codes = second_factor.make_recovery_codes(owner, actor=Actor.for_command("test"))
    password_step(client, owner)
    assert client.post("/sign-in/code/", {"code": codes[0].upper()}).status_code == 302
    assert client.get(KEYS).status_code == 200
    again = Client()
    password_step(again, owner)
    assert "was used before" in again.post("/sign-in/code/", {"code": codes[0]}).content.decode()


def test_who_has_no_second_factor_is_led_to_set_one_up(client, account):
    newcomer = UserFactory()
    assert password_step(client, newcomer)["Location"] == "/me/second-factor/"
    page = client.get("/me/second-factor/")
    assert "Scan this code" in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert client.get(KEYS).status_code == 302


def test_the_seed_is_in_no_session(client, account):
    newcomer = UserFactory()
    password_step(client, newcomer)
    client.get("/me/second-factor/")
    device = TOTPDevice.objects.get(user=newcomer)
    stored = str(dict(client.session.items()))
    assert device.key not in stored
    assert second_factor.base32_secret(device) not in stored


def test_signing_out_takes_a_post_and_ends_the_session(sign_in_as, owner):
    client = sign_in_as(owner)
    assert client.get("/sign-out/").status_code == 405
    client.post("/sign-out/")
    assert client.get(KEYS).status_code == 302


def test_the_theme_is_remembered(sign_in_as, owner):
    client = sign_in_as(owner)
    client.post("/me/theme/", {"theme": "dark", "next": KEYS})
    assert 'data-bs-theme="dark"' in client.get(KEYS).content.decode()
    client.post("/me/theme/", {"theme": "neon"})
    owner.refresh_from_db()
    assert owner.theme == "dark"


def test_replacing_the_app_takes_a_step_up_and_keeps_the_old_one_until_confirmed(sign_in_as, owner):
    client = sign_in_as(owner)
    old = TOTPDevice.objects.get(user=owner)
    client.get("/me/second-factor/replace/")
    assert TOTPDevice.objects.filter(user=owner).count() == 1
    client.post("/me/second-factor/replace/", {"nonce": "n1", "code": fresh_code(owner)})
    assert "Scan this code" in client.get("/me/second-factor/").content.decode()
    assert TOTPDevice.objects.filter(pk=old.pk, confirmed=True).exists()


def test_a_set_up_that_one_session_began_is_not_another_s(sign_in_as, owner):
    """A step-up is bound to its session: a thief in another reads no seed, and puts in no app of theirs."""
    here, elsewhere = sign_in_as(owner), sign_in_as(owner)
    here.post("/me/second-factor/replace/", {"nonce": "n1", "code": fresh_code(owner)})
    pending = second_factor.pending_enrolment(owner)
    seed = second_factor.base32_secret(pending)[:4]
    assert seed in here.get("/me/second-factor/").content.decode()
    assert seed not in elsewhere.get("/me/second-factor/").content.decode()
    elsewhere.post("/me/second-factor/", {"code": code_of(pending)})
    assert not TOTPDevice.objects.get(pk=pending.pk).confirmed
    assert here.post("/me/second-factor/", {"code": code_of(pending)}).status_code == 302
    assert TOTPDevice.objects.get(pk=pending.pk).confirmed


def test_two_who_know_a_password_are_not_shown_the_same_seed(account):
    """Or one of them would keep what the other one's app holds."""
    user = UserFactory()
    seeds = []
    for browser in (Client(), Client()):
        browser.post("/sign-in/", {"email": user.email, "password": PASSWORD})
        for _ in range(2):
            browser.get("/me/second-factor/")
            seeds.append(second_factor.base32_secret(second_factor.pending_enrolment(user)))
    assert seeds[0] == seeds[1] != seeds[2] == seeds[3]


def test_new_recovery_codes_take_a_step_up_and_cancel_the_old(sign_in_as, owner):
    client = sign_in_as(owner)
    old = second_factor.make_recovery_codes(owner, actor=Actor.for_command("test"))
    page = client.post("/me/recovery-codes/", {"nonce": "n1", "code": fresh_code(owner)}).content.decode()
    assert "10 recovery codes" in page
    assert old[0] not in page
    data = {"nonce": "n2", "code": old[0]}
    assert "was used before" in client.post("/me/recovery-codes/", data).content.decode()
