"""Settings in a real browser: the panic button by keyboard alone, and policies without JavaScript."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from accounts.models import Account
from tests.browser.test_main_job import call
from tests.factories import MinerFactory
from tests.people import fresh_code

SETTINGS = "/a/northfold/settings/"


def tab_to(page: Page, name: str, most: int = 80) -> None:
    """Press Tab until the element in focus says ``name``."""
    for _ in range(most):
        page.keyboard.press("Tab")
        words = page.evaluate(
            "(element => element.labels?.[0]?.textContent ?? element.textContent)(document.activeElement)"
        )
        if " ".join((words or "").split()).startswith(name):
            return
    raise AssertionError(f"Tab never reaches “{name}”.")


def panic(page: Page, public_url: str, owner, secret: str) -> None:
    tab_to(page, "Signing keys")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Versions")).to_be_visible()
    tab_to(page, "Retire…")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 key stops at once")).to_be_visible()
    tab_to(page, "Type “northfold” to confirm")
    page.keyboard.type("northfield")
    tab_to(page, "Code from your authenticator app")
    page.keyboard.type(fresh_code(owner))
    page.keyboard.press("Enter")
    expect(page.locator("#errors")).to_be_focused()
    expect(page.locator("#errors")).to_contain_text("Type “northfold”")
    assert call(f"{public_url}/api/v1/key", secret)[0] == 200

    tab_to(page, "Type “northfold” to confirm:")  # the summary's link to the field
    page.keyboard.press("Enter")
    expect(page.get_by_label("Type “northfold” to confirm")).to_be_focused()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.type("northfold")
    tab_to(page, "Code from your authenticator app")
    page.keyboard.type(fresh_code(owner))
    tab_to(page, "Retire and stop 1 key")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 key stopped.")).to_be_visible()
    assert call(f"{public_url}/api/v1/key", secret)[0] == 401
    tab_to(page, "Keys without a secret")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{public_url}/a/northfold/access/api-keys/?status=without_secret")


@pytest.fixture
def secret(account, issue_key):
    MinerFactory(account=account)
    return issue_key(name="Grafana")[1]


def test_the_panic_button_works_by_keyboard_alone(sign_in_page, public_url, owner, secret, complaints):
    page = sign_in_page(owner, SETTINGS)
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    panic(page, public_url, owner, secret)


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_policies_and_notices_are_changed_without_javascript(sign_in_page, owner, account, complaints):
    page = sign_in_page(owner, SETTINGS)
    page.get_by_label("Keys can manage keys").check()
    page.get_by_label("Active keys at most").fill("none")
    page.get_by_label("Code from your authenticator app").fill(fresh_code(owner))
    page.get_by_role("button", name="Save policies").click()
    expect(page.locator("#errors")).to_contain_text("Active keys at most: A whole number from 1 to 100,000.")
    expect(page.get_by_label("Keys can manage keys")).to_be_checked()
    page.get_by_label("Active keys at most").fill("12")
    page.get_by_label("Code from your authenticator app").fill(fresh_code(owner))
    page.get_by_role("button", name="Save policies").click()
    expect(page.get_by_text("The policies are saved.")).to_be_visible()
    saved = Account.objects.get(slug="northfold")
    assert (saved.key_automation, saved.max_active_keys) == (True, 12)

    page.get_by_role("link", name="Notices").click()
    expect(page.get_by_label("Payout address changed")).to_be_disabled()
    page.get_by_label("Edited").uncheck()
    page.get_by_role("button", name="Save notices").click()
    expect(page.get_by_text("Your notices are saved.")).to_be_visible()
    expect(page.get_by_label("Edited")).not_to_be_checked()
