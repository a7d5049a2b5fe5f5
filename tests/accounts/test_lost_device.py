"""The way back in without the phone: a recovery code, then another second factor."""

from __future__ import annotations

from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.models import RecoveryCode, RecoveryDevice
from tests.factories import PASSWORD
from tests.people import code_of, fresh_code
from tests.soft_authenticator import SoftAuthenticator

LOST = "/sign-in/lost-device/"


def password_step(client, user):
    client.post("/sign-in/", {"email": user.email, "password": PASSWORD})


def test_a_recovery_code_signs_in_and_leads_to_another_app(client, owner, recovery_codes):
    codes = recovery_codes(owner)
    password_step(client, owner)
    assert LOST in client.get("/sign-in/code/").content.decode()
    assert client.post(LOST, {"code": codes[0]})["Location"] == "/me/second-factor/"
    page = client.get("/me/second-factor/").content.decode()
    assert "Scan this code" in page
    assert "Now set up another second factor" in page
    lost = TOTPDevice.objects.get(user=owner, confirmed=True)
    found = TOTPDevice.objects.get(user=owner, confirmed=False)
    client.post("/me/second-factor/", {"code": code_of(found)})
    assert not TOTPDevice.objects.filter(pk=lost.pk).exists()
    assert client.get("/me/second-factor/").status_code == 200


def test_or_to_a_passkey(client, owner, recovery_codes, settings):
    settings.OTP_WEBAUTHN_RP_ID = "localhost"
    settings.OTP_WEBAUTHN_ALLOWED_ORIGINS = ["http://localhost:8000"]
    password_step(client, owner)
    client.post(LOST, {"code": recovery_codes(owner)[0]})
    credential = SoftAuthenticator().create(client.post("/me/passkeys/create/begin/").json())
    done = client.post("/me/passkeys/create/", {"name": "New phone", "credential": credential})
    assert done["Location"] == "/me/passkeys/"


def test_only_a_recovery_code_is_taken_and_a_typo_counts_nothing(client, owner, recovery_codes):
    recovery_codes(owner)
    password_step(client, owner)
    for code in (fresh_code(owner), "nonsense", ""):
        assert client.post(LOST, {"code": code}).status_code == 200
    assert RecoveryDevice.objects.get(user=owner).throttling_failure_count == 0
    assert TOTPDevice.objects.get(user=owner).last_t == -1
    assert "not right, or was used before" in client.post(LOST, {"code": "2222-3333-4444-5555"}).content.decode()
    assert RecoveryCode.objects.filter(used_at=None).count() == 10


def test_the_page_is_for_who_has_just_given_a_password(client, owner, recovery_codes):
    codes = recovery_codes(owner)
    assert client.get(LOST)["Location"] == "/sign-in/"
    assert client.post(LOST, {"code": codes[0]})["Location"] == "/sign-in/"
    assert RecoveryCode.objects.filter(used_at=None).count() == 10


def test_leaving_the_set_up_keeps_the_old_app(client, owner, recovery_codes):
    password_step(client, owner)
    client.post(LOST, {"code": recovery_codes(owner)[0]})
    client.post("/me/second-factor/cancel/")
    assert "Set up another app" in client.get("/me/second-factor/").content.decode()
    assert TOTPDevice.objects.filter(user=owner).count() == 1
