"""Who enters the staff admin: staff who proved a second factor, and nobody else on any of its pages."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django_otp.admin import OTPAdminSite
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.models import AuditEvent, User
from tests.accounts.passkeys import registered
from tests.factories import PASSWORD, HubClientFactory, HubFactory, MinerFactory, PoolFactory, UserFactory
from tests.people import enrol, fresh_code


def test_the_one_time_password_site_is_in_force():
    assert admin.site.is_registered  # wakes the lazy site up
    assert isinstance(admin.site._wrapped, OTPAdminSite)


def test_only_these_models_have_pages():
    assert {model._meta.label for model in admin.site._registry} == {
        "accounts.Account",
        "accounts.AuditEvent",
        "accounts.User",
        "apikeys.ActiveKey",
        "django_otp_webauthn.WebAuthnCredential",
        "apikeys.RevokedKey",
        "apikeys.SupportKey",
        "entities.HubInvitation",
        "apikeys.Role",
        "entities.Entity",
        "entities.Hub",
        "entities.HubClient",
        "entities.Miner",
        "entities.Pool",
    }


@pytest.mark.parametrize(
    "path",
    [
        "",
        "accounts/account/",
        "accounts/account/add/",
        "accounts/user/",
        "accounts/user/add/",
        "accounts/auditevent/",
        "accounts/auditevent/verify/",
        "entities/entity/",
        "entities/miner/",
        "entities/miner/add/",
        "entities/hub/",
        "entities/hub/add/",
        "entities/hubclient/",
        "entities/hubclient/add/",
        "entities/pool/",
        "entities/pool/add/",
        "apikeys/activekey/",
        "apikeys/activekey/add/",
        "apikeys/revokedkey/",
        "apikeys/supportkey/",
        "apikeys/role/",
        "apikeys/role/add/",
    ],
)
def test_staff_see_every_section(path, staff, sign_in_as, account):
    assert sign_in_as(staff).get(f"/admin/{path}").status_code == 200


def test_staff_need_not_be_superusers(staff, sign_in_as, account):
    staff.is_superuser = False
    staff.save()
    staff.groups.add(Group.objects.get(name="administrators"))
    client = sign_in_as(staff)
    assert client.get("/admin/accounts/account/").status_code == 200
    assert client.get(f"/admin/accounts/account/{account.pk}/change/").status_code == 200


def test_who_stops_being_staff_is_out_at_the_next_click(staff, sign_in_as):
    client = sign_in_as(staff)
    staff.is_staff = False
    staff.save()
    assert client.get("/admin/", follow=True).status_code == 403


def test_signed_in_staff_pass_the_login_page(staff, sign_in_as):
    answer = sign_in_as(staff).get("/admin/login/?next=/admin/accounts/user/")
    assert answer["Location"] == "/admin/accounts/user/"


def test_the_login_page_leads_to_no_other_site(staff, sign_in_as):
    answer = sign_in_as(staff).get("/admin/login/?next=https://example.org/")
    assert answer["Location"] == "/admin/"


def test_signing_out_of_the_admin_signs_out(staff, sign_in_as):
    client = sign_in_as(staff)
    assert client.get("/admin/logout/").status_code == 405
    answer = client.post("/admin/logout/")
    assert answer["Location"] == "/sign-in/"
    assert not client.session.get("_auth_user_id")


def test_the_admin_offers_no_password_page(staff, sign_in_as):
    client = sign_in_as(staff)
    assert client.get("/admin/password_change/").status_code == 404
    assert b"password_change" not in client.get("/admin/").content


def test_no_page_holds_inline_scripts_styles_or_handlers(
    staff, sign_in_as, account, other_account, issue_key, owner, make_role
):
    """The content security policy would stop them."""
    hub = HubFactory(account=account)
    HubClientFactory(hub=hub, miner=MinerFactory(account=account, pool=PoolFactory(account=account)))
    key, _ = issue_key()
    role = make_role("payouts:read")
    client = sign_in_as(staff)
    for path in [
        "",
        "accounts/account/",
        f"accounts/account/{account.pk}/change/",
        f"accounts/account/{account.pk}/policies/",
        f"accounts/account/{account.pk}/members/add/",
        f"accounts/account/{account.pk}/suspend/",
        f"accounts/account/{account.pk}/signing-keys/",
        f"accounts/account/{account.pk}/signing-keys/1/retire/",
        f"entities/hub/{hub.pk}/transfer/?to={other_account.pk}",
        "entities/entity/import/",
        f"accounts/user/{owner.pk}/change/",
        "accounts/user/add/",
        "accounts/auditevent/",
        "accounts/auditevent/verify/",
        f"accounts/auditevent/{AuditEvent.objects.all()[0].pk}/change/",
        f"entities/hub/{hub.pk}/change/",
        "entities/miner/",
        "apikeys/activekey/",
        f"apikeys/activekey/{key.pk}/change/",
        f"apikeys/activekey/{key.pk}/revoke/",
        f"apikeys/activekey/{key.pk}/edit/",
        f"apikeys/activekey/{key.pk}/rotate/",
        "apikeys/activekey/find/",
        "apikeys/activekey/add/",
        f"apikeys/activekey/explain/?key={key.key_id}",
        f"apikeys/activekey/add/?account={account.pk}&environment=production",
        f"apikeys/role/{role.pk}/change/",
        f"apikeys/role/{role.pk}/edit/",
        f"apikeys/role/add/?account={account.pk}",
    ]:
        answer = client.get(f"/admin/{path}")
        html = answer.content.decode()
        assert answer.status_code == 200, path
        assert not re.search(r"<style\b|\sstyle=|\son\w+=|javascript:", html), path
        assert all("src=" in tag or "application/json" in tag for tag in re.findall(r"<script\b[^>]*>", html)), path


# The way in


def web_login(client, user, path="/admin/accounts/user/"):
    """Where the password leads somebody who asked for ``path``."""
    step = client.get(path)
    assert step["Location"] == f"/sign-in/?next={path}"
    return client.post(step["Location"], {"email": user.email, "password": PASSWORD})


def test_the_way_in_is_the_web_login_with_a_code_and_then_to_where_one_was_going(client, staff):
    step = web_login(client, staff)
    assert step["Location"].startswith("/sign-in/code/?next=")
    assert client.get("/admin/").status_code == 302
    done = client.post(step["Location"], {"code": fresh_code(staff)})
    assert done["Location"] == "/admin/accounts/user/"
    assert client.get(done["Location"]).status_code == 200


def test_an_app_that_was_never_confirmed_lets_nobody_in(client, staff, sign_in_as):
    browser = sign_in_as(staff)
    TOTPDevice.objects.filter(user=staff).update(confirmed=False)
    assert browser.get("/admin/").status_code == 302
    step = web_login(client, staff)
    assert step["Location"].startswith("/me/second-factor/?next=")
    assert client.get("/admin/").status_code == 302


def test_a_passkey_is_a_second_factor_here_too(client, staff):
    passkey, _ = registered(staff)
    client.force_login(staff)
    session = client.session
    session["otp_device_id"] = passkey.persistent_id
    session.save()
    assert client.get("/admin/").status_code == 200
    passkey.delete()
    assert client.get("/admin/").status_code == 302


def test_who_signed_out_is_out(staff, sign_in_as, settings):
    client = sign_in_as(staff)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    client.post("/admin/logout/")
    client.cookies[settings.SESSION_COOKIE_NAME] = cookie
    assert client.get("/admin/", follow=True).redirect_chain[-1][0].startswith("/sign-in/")


def test_staff_in_no_group_are_told_whom_to_ask(staff, sign_in_as):
    newcomer = UserFactory(name="Nils", is_staff=True)
    enrol(newcomer)
    client = sign_in_as(newcomer)
    page = client.get("/admin/").content.decode()
    assert "You have no role in the staff admin yet" in page
    assert f"mailto:{staff.email}" in page
    assert "Latest changes" not in page
    assert client.get("/admin/accounts/").status_code == 404
    refused = client.get("/admin/accounts/account/")
    assert refused.status_code == 403
    assert "Ask a superuser for the group" in refused.content.decode()
    assert "no role in the staff admin" not in sign_in_as(staff).get("/admin/").content.decode()


def test_a_page_of_our_own_that_names_no_permission_is_a_mistake(db):
    with pytest.raises(ValueError, match="names the permission"):
        admin.site.get_model_admin(User).page(lambda request: None)


@pytest.mark.parametrize("section", ["entities/miner", "entities/hubclient"])
def test_a_broken_id_in_a_link_or_a_form_is_no_crash(section, staff, sign_in_as, db):
    client, page = sign_in_as(staff), f"/admin/{section}/add/"
    broken = {"account": "x", "pool": "x", "hub": "x", "miner": "x"}
    assert client.get(page, broken).status_code == 200
    answer = client.post(page, broken)
    assert answer.status_code == 200
    said = "Please correct what is marked" if section == "entities/hubclient" else "Please correct the error"
    assert said in answer.content.decode()
