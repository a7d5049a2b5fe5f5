"""Passkeys in Chromium with a virtual authenticator: made, used to sign in and to confirm, removed."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from accounts.models import AuditEvent
from accounts.passkeys import passkeys_of
from apikeys.models import ApiKey
from tests.browser.authenticators import Authenticator
from tests.factories import PASSWORD, MembershipFactory, UserFactory
from tests.people import fresh_code

pytestmark = pytest.mark.usefixtures("complaints")


@pytest.fixture
def authenticator(page):
    return Authenticator(page)


def password_step(page, url, user):
    page.goto(url + "/sign-in/")
    page.get_by_label("Email").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def add_passkey(page, url, user, name="Laptop"):
    page.goto(url + "/me/passkeys/")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Code from your authenticator app").fill(fresh_code(user))
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create passkey").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def test_a_passkey_is_added_signs_in_and_confirms(sign_in_page, page, public_url, owner, issue_key, authenticator):
    key, _ = issue_key()
    sign_in_page(owner)
    add_passkey(page, public_url, owner)
    assert [passkey.name for passkey in passkeys_of(owner)] == ["Laptop"]

    page.context.clear_cookies()
    password_step(page, public_url, owner)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="API keys", exact=True)).to_be_visible()

    page.goto(f"{public_url}/a/northfold/access/api-keys/{key.key_id}/revoke/")
    page.get_by_label("Reason").select_option(index=1)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(lambda url: not url.endswith("/revoke/"))
    assert ApiKey.objects.get(pk=key.pk).revoked_at is not None


def test_the_name_can_be_sent_with_the_enter_key(sign_in_page, page, public_url, owner, authenticator):
    sign_in_page(owner)
    page.goto(public_url + "/me/passkeys/add/")
    page.get_by_label("Code from your authenticator app").fill(fresh_code(owner))
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Name").fill("Phone")
    page.get_by_label("Name").press("Enter")
    expect(page.get_by_role("heading", name="Phone")).to_be_visible()


def test_a_finger_that_is_not_recognised_confirms_nothing(
    sign_in_page, page, public_url, owner, issue_key, authenticator
):
    key, _ = issue_key()
    sign_in_page(owner)
    add_passkey(page, public_url, owner)
    authenticator.recognise(False)
    page.goto(f"{public_url}/a/northfold/access/api-keys/{key.key_id}/revoke/")
    page.get_by_label("Reason").select_option(index=1)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("The passkey was not used")
    assert ApiKey.objects.get(pk=key.pk).revoked_at is None
    page.get_by_label("Code from your authenticator app").fill(fresh_code(owner))
    page.get_by_role("button", name="Revoke key").click()
    page.wait_for_url(lambda url: not url.endswith("/revoke/"))
    assert ApiKey.objects.get(pk=key.pk).revoked_at is not None


def test_a_newcomer_sets_up_a_passkey_instead_of_an_app(page, public_url, account, authenticator):
    newcomer = UserFactory()
    MembershipFactory(account=account, user=newcomer, can_view_keys=True)
    password_step(page, public_url, newcomer)
    page.get_by_role("link", name="Use a passkey instead of an app").click()
    page.get_by_label("Name").fill("Phone")
    page.get_by_role("button", name="Create passkey").click()
    expect(page.get_by_role("heading", name="10 recovery codes")).to_be_visible()
    page.get_by_label("I have saved them somewhere safe").check()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("heading", name="API keys", exact=True)).to_be_visible()

    page.context.clear_cookies()
    password_step(page, public_url, newcomer)
    expect(page.get_by_label("Recovery code")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="API keys", exact=True)).to_be_visible()

    page.goto(public_url + "/me/passkeys/")
    page.get_by_role("link", name="Remove Phone").click()
    expect(page.get_by_text("This is your only second factor, so it can’t be removed")).to_be_visible()
    expect(page.get_by_role("button", name="Remove passkey")).to_have_count(0)


def test_a_passkey_is_renamed_and_removed_with_itself(sign_in_page, page, public_url, owner, authenticator):
    sign_in_page(owner)
    add_passkey(page, public_url, owner)
    page.get_by_role("link", name="Rename Laptop").click()
    page.get_by_label("Name").fill("Old laptop")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Remove Old laptop").click()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("“Old laptop” was removed.")).to_be_visible()
    assert not passkeys_of(owner).exists()
    actions = list(AuditEvent.objects.filter(action__startswith="passkey.").values_list("action", flat=True))
    assert sorted(actions) == ["passkey.added", "passkey.removed", "passkey.renamed"]


def test_one_authenticator_holds_one_passkey_of_a_person(sign_in_page, page, public_url, owner, authenticator):
    sign_in_page(owner)
    add_passkey(page, public_url, owner)
    page.goto(public_url + "/me/passkeys/add/")
    page.get_by_role("button", name="Use a passkey").click()
    page.get_by_label("Name").fill("Again")
    page.get_by_role("button", name="Create passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("No passkey was created")
    assert len(authenticator.credentials()) == 1


def test_staff_confirm_with_a_passkey_in_the_admin(sign_in_page, page, public_url, staff, issue_key, authenticator):
    key, _ = issue_key()
    sign_in_page(staff, "/admin/")
    add_passkey(page, public_url, staff)
    page.goto(f"{public_url}/admin/apikeys/activekey/{key.pk}/revoke/")
    page.get_by_label("Reason").select_option(index=1)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(lambda url: not url.endswith("/revoke/"))
    assert ApiKey.objects.get(pk=key.pk).revoked_at is not None
