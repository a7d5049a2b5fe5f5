"""Making and editing keys: by keyboard alone, without JavaScript, and with the summary that follows."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from apikeys.models import ApiKey
from tests.browser.hands import tab_to
from tests.factories import HubFactory, MinerFactory
from tests.people import fresh_code

KEYS = "/a/northfold/access/api-keys/"


@pytest.fixture
def miners(account):
    return [MinerFactory(account=account, name=f"nf-{number:04}") for number in range(3)]


def test_a_key_is_made_with_the_keyboard_alone(sign_in_page, owner, account, miners, complaints):
    page = sign_in_page(owner, f"{KEYS}create/")
    tab_to(page, page.locator("#id_name"))
    page.keyboard.type("keyboard-bot")
    tab_to(page, page.locator("[name=access_level]:checked"))
    page.keyboard.press("ArrowRight")
    tab_to(page, page.locator("#id_miners_all"))
    page.keyboard.press("Space")
    tab_to(page, page.locator(".ph-scope-actions > summary"))
    page.keyboard.press("Enter")
    tab_to(page, page.locator("[name=miners_all_actions][value=write]"))
    page.keyboard.press("Space")
    tab_to(page, page.locator("[name=expires_in]:checked"))
    page.keyboard.press("ArrowRight")
    tab_to(page, page.locator("#id_code"))
    page.keyboard.type(fresh_code(owner))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Key created: keyboard-bot")).to_be_visible()
    tab_to(page, page.locator("[data-copy-from='#secret']"))
    tab_to(page, page.locator("[data-enables]"))
    page.keyboard.press("Space")
    tab_to(page, page.locator("#done"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="API keys", exact=True)).to_be_visible()
    key = ApiKey.objects.get()
    assert key.access_level == "accountant"
    assert sorted(str(row) for row in key.scopes.all()) == ["admin:miners/*", "read:miners/*"]


def walk(page: Page, owner, account, miners) -> None:
    """A key that reads all miners and writes one; then an edit that takes a code, and one that takes none."""
    page.get_by_label("Name", exact=True).fill("bot")
    page.get_by_role("radio", name="Administrator").check()
    page.locator("#id_miners_all").check()
    expect(page.locator("#miners")).to_be_hidden()
    page.locator("summary", has_text="Advanced").first.click()
    page.locator("[name=miners_all_actions][value=write]").uncheck()
    page.locator("[name=miners_all_actions][value=admin]").uncheck()
    page.locator(f"[name=miners][value='{miners[0].pk}']").check()
    page.locator("[name=miners_actions][value=admin]").uncheck()
    page.locator("[name=miners_actions][value=read]").uncheck()
    page.locator("#id_rate_limit").fill("90")
    page.get_by_label("Code from your authenticator app").fill(fresh_code(owner))
    page.locator("aside").get_by_role("button", name="Create key").click()
    expect(page.get_by_role("heading", name="Key created: bot")).to_be_visible()
    page.get_by_label("I have copied it").check()
    page.get_by_role("button", name="Done").click()
    key = ApiKey.objects.get()
    assert sorted(str(row) for row in key.scopes.all()) == ["read:miners/*", f"write:miners/{miners[0].pk}"]

    account.keys_editable = True
    account.save()
    page.goto(page.url.split("/a/")[0] + f"{KEYS}{key.key_id}/edit/")
    expect(page.locator(f"[name=miners][value='{miners[0].pk}']")).to_be_checked()
    page.get_by_label("Name", exact=True).fill("renamed")
    page.locator("#id_rate_limit").fill("60")
    page.locator("aside").get_by_role("button", name="Save changes").click()
    expect(page.locator("#errors")).to_contain_text("Changing this takes a code: rate limit.")
    expect(page.locator("#id_code")).to_be_focused()
    expect(page.get_by_label("Name", exact=True)).to_have_value("renamed")
    page.get_by_label("Code from your authenticator app").fill(fresh_code(owner))
    page.locator("aside").get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("“renamed” is saved.")).to_be_visible()
    key.refresh_from_db()
    assert (key.name, key.rate_limit) == ("renamed", 60)
    assert sorted(str(row) for row in key.scopes.all()) == ["read:miners/*", f"write:miners/{miners[0].pk}"]

    page.goto(page.url.split("/a/")[0] + f"{KEYS}{key.key_id}/edit/")
    page.get_by_label("Description").fill("Reads all, writes one")
    page.get_by_label("Description").press("Enter")
    expect(page.get_by_text("“renamed” is saved.")).to_be_visible()


def test_advanced_scopes_and_edits(sign_in_page, owner, account, miners, complaints):
    walk(sign_in_page(owner, f"{KEYS}create/"), owner, account, miners)


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_the_same_without_javascript(sign_in_page, owner, account, miners, complaints):
    walk(sign_in_page(owner, f"{KEYS}create/"), owner, account, miners)


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_without_javascript_buttons_update_the_summary_and_keep_what_is_typed(sign_in_page, owner, account, miners):
    page = sign_in_page(owner, f"{KEYS}create/")
    page.locator("#id_miners_all").check()
    page.locator("label", has_text="Until a date").click()
    page.locator("#id_expires_on").fill("2099-01-01")
    page.locator("#id_allowed_cidrs").fill("10.0.0.0/8")
    page.get_by_role("button", name="Update this summary").click()
    expect(page.locator("#summary")).to_contain_text("For all miners, current and future")
    expect(page.locator("#summary")).to_contain_text("IPv6 clients will be refused")
    expect(page.locator("#id_expires_on")).to_have_value("2099-01-01")


def test_the_page_stands_still_once_a_far_field_has_the_focus(sign_in_page, owner, account, miners, complaints):
    page = sign_in_page(owner, f"{KEYS}create/")
    page.locator("#id_rate_limit").focus()
    at_once = page.evaluate("scrollY")
    page.wait_for_timeout(500)
    assert page.evaluate("scrollY") == at_once > 0


def test_the_summary_follows_every_part(sign_in_page, owner, account, miners, complaints):
    HubFactory(account=account)
    page = sign_in_page(owner, f"{KEYS}create/")
    summary = page.locator("#summary")
    page.get_by_role("radio", name="Administrator").check()
    page.locator("#id_miners_all").check()
    expect(summary).to_contain_text("For all miners, current and future")
    page.locator("summary", has_text="Advanced").first.click()
    page.locator("[name=miners_all_actions][value=write]").uncheck()
    page.locator("[name=miners_all_actions][value=admin]").uncheck()
    expect(summary).to_contain_text("Read: all miners, current and future")
    expect(summary).to_contain_text("Cannot change anything")
    page.locator("[name=miners]").first.check()
    expect(page.locator("[data-scope-count]").first).to_have_text("1 of 3 selected")
    page.locator("#id_rate_limit").fill("90")
    expect(summary).to_contain_text("Up to 90 requests a minute")
    page.locator("#id_allowed_cidrs").fill("::/0")
    expect(summary).to_contain_text("IPv4 clients will be refused")
    expect(page.locator("#address-notes")).to_contain_text("::/0 lets every IPv6 address in")
    page.locator("label", has_text="Until a date").click()
    expect(summary).to_contain_text("No last day chosen yet")


def test_the_summary_moves_nothing_while_the_button_is_pressed(sign_in_page, public_url, owner, issue_key, complaints):
    key, _ = issue_key(environment="production")
    page = sign_in_page(owner, f"{KEYS}{key.key_id}/edit/")
    held: list[Route] = []
    page.route("**/edit/", lambda route: held.append(route))
    page.get_by_label("Rate limit").fill("120")
    page.get_by_label("Code from your authenticator app").fill(fresh_code(owner))
    while not held:
        page.wait_for_timeout(50)
    page.get_by_role("button", name="Save changes").locator("visible=true").hover()
    page.mouse.down()
    with page.expect_response("**/edit/"):
        held.pop().continue_()
    page.wait_for_timeout(200)  # the summary would have grown by now, and the button moved away
    page.unroute("**/edit/")
    page.mouse.up()
    expect(page.get_by_text("120 a minute").first).to_be_visible()


def test_a_burst_is_found_beside_the_limit_and_the_summary_follows(sign_in_page, owner, account, miners, complaints):
    page = sign_in_page(owner, f"{KEYS}create/")
    page.locator("#id_rate_limit").fill("300")
    expect(page.locator("#id_rate_burst")).to_be_hidden()
    page.locator("summary", has_text="limit bursts").click()
    page.locator("#id_rate_burst").fill("20")
    expect(page.locator("#summary")).to_contain_text("Up to 300 requests a minute, 20 at once")
    page.locator("#id_rate_limit").fill("10")
    expect(page.locator("#summary")).to_contain_text("The burst is no whole number within the rate limit yet")
