"""The list of keys on a phone, and what a row's buttons do with JavaScript."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.hands import tab_to

KEYS = "/a/northfold/access/api-keys/"


@pytest.mark.browser_context_args(java_script_enabled=False, viewport={"width": 390, "height": 800})
def test_on_a_phone_a_row_opens_without_javascript(sign_in_page, owner, issue_key, complaints):
    key, _ = issue_key(name="Grafana")
    page = sign_in_page(owner, KEYS)
    row = page.locator(".ph-keys tbody tr")
    expect(row.get_by_role("switch", name="Enabled: Grafana")).to_be_visible()
    expect(row.get_by_text(key.key_id)).to_be_hidden()
    assert row.bounding_box()["height"] < 80
    tab_to(page, row.locator("summary"))
    page.keyboard.press("Enter")
    expect(row.get_by_text(key.key_id)).to_be_visible()
    expect(row.get_by_text("All miners, hubs and pools, current and future")).to_be_visible()
    expect(row.get_by_role("link", name="Revoke Grafana")).to_be_visible()
    row.get_by_role("switch").click()
    expect(page.get_by_text("“Grafana” is switched off.")).to_be_visible()


def test_the_key_id_is_copied_from_a_row(sign_in_page, owner, issue_key, context, complaints):
    key, _ = issue_key(name="Grafana")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = sign_in_page(owner, KEYS)
    page.get_by_role("button", name=key.key_id).click()
    expect(page.locator("#live")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == key.key_id
    expect(page.get_by_title("Copy key ID")).to_have_count(1)
    expect(page.get_by_title("Rotate")).to_have_count(1)
