"""What staff do in the admin: from a number to its list, to a key, and what they do to it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.hands import Keyboard, Mouse
from tests.people import fresh_code


@pytest.mark.parametrize("hands", [Mouse, Keyboard])
def test_staff_go_from_a_number_to_a_key_stop_it_start_it_and_end_it(
    sign_in_page, staff, issue_key, complaints, folder, hands
):
    issue_key(name="Grafana fleet")
    page = sign_in_page(staff, "/admin/")
    hand = hands(page)
    hand.press(page.locator("a.ph-tile", has_text="Active"))
    hand.press(page.get_by_role("link", name="Grafana fleet"))
    hand.press(page.get_by_role("link", name="Disable", exact=True))
    hand.write(page.get_by_label("Reason"), "Stuck in a loop")
    hand.press(page.get_by_role("button", name="Disable"))
    expect(page.get_by_text("is disabled. It is refused from the next request on.")).to_be_visible()
    take(page, folder, f"staff-disabled-{hands.__name__.lower()}")

    hand.press(page.get_by_role("link", name="Enable", exact=True))
    hand.write(page.get_by_label("Reason"), "The loop is mended")
    hand.write(page.get_by_label("Code"), fresh_code(staff))
    hand.press(page.get_by_role("button", name="Enable"))
    expect(page.get_by_text("is enabled. It answers again.")).to_be_visible()

    hand.press(page.get_by_role("link", name="Revoke", exact=True))
    hand.select(page.get_by_label("Reason"), "Leaked or suspected leak")
    hand.write(page.get_by_label("Code"), fresh_code(staff))
    hand.press(page.get_by_role("button", name="Revoke for good"))
    expect(page.get_by_text("is revoked. It is refused from the next request on.")).to_be_visible()

    page.goto(page.url.split("/admin/")[0] + "/admin/")
    expect(page.locator("a.ph-tile", has_text="Revoked")).to_contain_text("1")


def take(page: Page, folder, name: str) -> None:
    for scheme in ("light", "dark"):
        if folder:
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=folder / f"{name}-{scheme}.png", full_page=True)


def test_the_outcome_of_many_keys_is_seen_without_going_past_them(sign_in_page, staff, issue_key, complaints):
    for number in range(40):
        issue_key(name=f"Grafana {number}")
    page = sign_in_page(staff, "/admin/apikeys/activekey/")
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option(label="Revoke")
    page.get_by_role("button", name="Go").click()
    page.get_by_label("Reason").select_option(label="Leaked or suspected leak")
    page.get_by_label("Code").fill(fresh_code(staff))
    page.get_by_role("button", name="Revoke for good").click()
    outcome = page.get_by_text("Done: 40.")
    expect(outcome).to_be_in_viewport()
    expect(page.get_by_role("link", name="Back to the API keys")).not_to_be_in_viewport()
