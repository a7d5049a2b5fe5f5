"""Passkeys over HTTP: signing in, stepping up, and the pages that add, rename and remove them."""

from __future__ import annotations

import pytest
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import passkeys
from tests.accounts.passkeys import registered
from tests.factories import PASSWORD, UserFactory
from tests.people import enrol, fresh_code, sign_in
from tests.soft_authenticator import SoftAuthenticator

pytestmark = pytest.mark.usefixtures("clock", "local_passkeys")


def ceremony(client, authenticator, action, nonce="form-1"):
    begin = client.post("/passkey/begin/", {"action": action, "nonce": nonce})
    if begin.status_code != 200:
        return begin
    return client.post("/passkey/complete/", {"credential": authenticator.get(begin.json())})


def password_step(client, user):
    return client.post("/sign-in/", {"email": user.email, "password": PASSWORD})


def test_a_person_whose_only_factor_is_a_passkey_signs_in_with_it(client, account, user):
    _, authenticator = registered(user)
    assert password_step(client, user)["Location"] == "/sign-in/code/"
    assert ceremony(client, authenticator, "sign_in").json() == {"granted": True}
    assert client.get("/me/passkeys/").status_code == 302
    done = client.post("/sign-in/code/", {"code": "passkey", "nonce": "form-1"})
    assert done["Location"] == "/"
    assert client.get("/me/passkeys/").status_code == 200


def test_the_word_alone_signs_nobody_in(client, user):
    registered(user)
    password_step(client, user)
    for nonce in ("", "form-1"):
        assert client.post("/sign-in/code/", {"code": "passkey", "nonce": nonce}).status_code == 200
    assert client.get("/me/passkeys/").status_code == 302


def test_before_sign_in_a_passkey_confirms_nothing_but_to_sign_in(client, user):
    _, authenticator = registered(user)
    assert ceremony(client, authenticator, "sign_in").status_code == 403
    password_step(client, user)
    assert ceremony(client, authenticator, "passkey.add").status_code == 403


def test_a_grant_to_sign_in_is_no_step_up_and_a_step_up_does_not_sign_in(user):
    enrol(user)
    _, authenticator = registered(user)
    client = sign_in(Client(), user)
    assert ceremony(client, authenticator, "sign_in").status_code == 403
    assert ceremony(client, authenticator, "recovery_codes.make").status_code == 200
    page = client.post("/me/passkeys/add/", {"code": "passkey", "nonce": "form-1"})
    assert "Use it again" in page.content.decode()
    assert (
        "10 recovery codes"
        in client.post("/me/recovery-codes/", {"code": "passkey", "nonce": "form-1"}).content.decode()
    )


def test_a_passkey_confirms_a_form_by_its_action(owner, account):
    _, authenticator = registered(owner)
    client = sign_in(Client(), owner)
    page = client.get("/me/passkeys/add/").content.decode()
    assert 'data-action="passkey.add"' in page
    ceremony(client, authenticator, "passkey.add")
    assert (
        client.post("/me/passkeys/add/", {"code": "passkey", "nonce": "form-1"})["Location"] == "/me/passkeys/create/"
    )


def test_a_mistake_elsewhere_in_the_form_spends_no_grant(user):
    enrol(user)
    _, authenticator = registered(user)
    client = sign_in(Client(), user)
    ceremony(client, authenticator, "password.change")
    data = {"nonce": "form-1", "code": "passkey", "current_password": "wrong", "new_password": "a new long passphrase"}
    data["new_password_again"] = data["new_password"]
    assert "not your current password" in client.post("/me/password/", data).content.decode()
    data["current_password"] = PASSWORD
    assert client.post("/me/password/", data)["Location"] == "/me/password/"


def test_who_has_no_passkey_is_offered_none(user):
    enrol(user)
    assert "data-passkey-proof" not in sign_in(Client(), user).get("/me/passkeys/add/").content.decode()


def test_adding_takes_a_step_up(user):
    enrol(user)
    client = sign_in(Client(), user)
    assert client.get("/me/passkeys/create/")["Location"] == "/me/passkeys/add/"
    assert client.post("/me/passkeys/create/begin/").status_code == 403
    client.post("/me/passkeys/add/", {"code": fresh_code(user), "nonce": "form-1"})
    options = client.post("/me/passkeys/create/begin/").json()
    credential = SoftAuthenticator().create(options)
    assert client.post("/me/passkeys/create/", {"name": "Phone", "credential": credential}).status_code == 302
    assert [passkey.name for passkey in passkeys.passkeys_of(user)] == ["Phone"]
    assert client.get("/me/passkeys/create/")["Location"] == "/me/passkeys/add/"


def test_a_password_alone_adds_no_passkey_to_somebody_who_has_a_factor(client, user):
    enrol(user)
    password_step(client, user)
    assert client.get("/me/passkeys/create/").status_code == 302
    assert client.post("/me/passkeys/create/begin/").status_code == 403


def test_a_newcomer_enrols_with_a_passkey_and_gets_recovery_codes(client, account, user):
    password_step(client, user)
    options = client.post("/me/passkeys/create/begin/").json()
    credential = SoftAuthenticator().create(options)
    page = client.post("/me/passkeys/create/", {"name": "Phone", "credential": credential})
    assert "10 recovery codes" in page.content.decode()
    assert client.get("/me/passkeys/").status_code == 200


def test_pages_of_somebody_else_s_passkey_do_not_exist(user):
    enrol(user)
    passkey, _ = registered(UserFactory())
    client = sign_in(Client(), user)
    for page in ("rename", "remove"):
        assert client.get(f"/me/passkeys/{passkey.pk}/{page}/").status_code == 404
    assert client.post(f"/me/passkeys/{passkey.pk}/rename/", {"name": "mine"}).status_code == 404
    client.post(f"/me/passkeys/{passkey.pk}/remove/", {"nonce": "n", "code": fresh_code(user)})
    passkey.refresh_from_db()
    assert passkey.name == "Laptop"


def test_a_name_is_one_printable_line_as_mails_and_histories_say_it(client, user):
    passkey, _ = registered(user)
    enrol(user)
    sign_in(client, user)
    there = f"/me/passkeys/{passkey.pk}/rename/"
    assert "printable characters only" in client.post(there, {"name": "Phone \u202egnp"}).content.decode()
    client.post(there, {"name": "Phone\r\nBcc:  somebody"})
    passkey.refresh_from_db()
    assert passkey.name == "Phone Bcc: somebody"


def test_a_session_lives_on_when_its_own_passkey_is_removed(client, account, user):
    enrol(user)
    passkey, authenticator = registered(user)
    password_step(client, user)
    ceremony(client, authenticator, "sign_in")
    client.post("/sign-in/code/", {"code": "passkey", "nonce": "form-1"})
    ceremony(client, authenticator, "passkey.remove", "form-2")
    client.post(f"/me/passkeys/{passkey.pk}/remove/", {"nonce": "form-2", "code": "passkey"})
    assert not passkeys.passkeys_of(user).exists()
    assert client.get("/me/passkeys/").status_code == 200


def test_the_app_can_go_when_a_passkey_is_there(user):
    enrol(user)
    client = sign_in(Client(), user)
    assert "only second factor" in client.get("/me/second-factor/remove/").content.decode()
    client.post("/me/second-factor/remove/", {"nonce": "form-1", "code": fresh_code(user)})
    assert TOTPDevice.objects.filter(user=user).exists()
    registered(user)
    client.post("/me/second-factor/remove/", {"nonce": "form-2", "code": fresh_code(user)})
    assert not TOTPDevice.objects.filter(user=user).exists()
    assert client.get("/me/second-factor/").status_code == 200


def test_staff_see_who_has_a_passkey_and_nothing_of_the_key(staff, sign_in_as, user):
    passkey, _ = registered(user)
    client = sign_in_as(staff)
    pages = [client.get("/admin/django_otp_webauthn/webauthncredential/")]
    pages.append(client.get(f"/admin/django_otp_webauthn/webauthncredential/{passkey.pk}/change/"))
    for page in pages:
        text = page.content.decode()
        assert user.email in text
        for secret in (passkey.credential_id_sha256, bytes(passkey.public_key).hex(), passkey.aaguid):
            assert secret not in text
    listing = client.get("/admin/django_otp_webauthn/webauthncredential/?credential_id_sha256__startswith=a")
    assert listing.status_code in (302, 400)
