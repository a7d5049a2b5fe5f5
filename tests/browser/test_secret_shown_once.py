"""The secret never comes back: not by the browser's history, a reload, a second click or after signing out."""

from __future__ import annotations

import pytest
from playwright.sync_api import Error, Page, expect

from apikeys.models import ApiKey
from tests.factories import MinerFactory
from tests.people import fresh_code


@pytest.fixture
def reveal_page(sign_in_page, owner, account) -> Page:
    MinerFactory(account=account)
    page = sign_in_page(owner, "/a/northfold/access/api-keys/create/")
    page.get_by_label("Name", exact=True).fill("bot")
    page.locator("#id_miners_all").check()
    page.get_by_label("Code from your authenticator app").fill(fresh_code(owner))
    page.locator("aside").get_by_role("button", name="Create key").click()
    expect(page.get_by_role("heading", name="Key created: bot")).to_be_visible()
    return page


def secret_of(page: Page) -> str:
    return page.locator("#secret").inner_text()


def leave(page: Page) -> None:
    page.get_by_label("I have copied it").check()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("heading", name="API keys", exact=True)).to_be_visible()


def content(page: Page) -> str:
    """The page's HTML, once it holds still: Chromium puts its own error page in place of an aborted navigation."""
    for _ in range(100):
        try:
            return page.content()
        except Error:
            page.wait_for_load_state()
    raise AssertionError("The page never came to rest.")


def go(page: Page, direction: str) -> None:
    """Go back or forward; Chromium answers with an error page where it would have to send the form again.

    While Chromium still swaps the page before for this one it has no history to go through: then it is asked again.
    """
    for _ in range(100):
        try:
            getattr(page, f"go_{direction}")()
        except Error as error:
            if "Not attached to an active page" in str(error):
                page.wait_for_timeout(50)
                continue
            assert "ERR_CACHE_MISS" in str(error)  # noqa: PT017 going back may just as well succeed
        return
    raise AssertionError("The browser never let go of the page before.")


def test_back_and_forward_do_not_show_it_again(reveal_page):
    secret = secret_of(reveal_page)
    leave(reveal_page)
    go(reveal_page, "back")
    assert secret not in content(reveal_page)
    go(reveal_page, "forward")
    assert secret not in content(reveal_page)


def test_a_reload_says_already_created_and_makes_no_second_key(reveal_page):
    secret = secret_of(reveal_page)
    reveal_page.get_by_label("I have copied it").check()
    reveal_page.on("dialog", lambda dialog: dialog.accept())
    reveal_page.reload()
    expect(reveal_page.get_by_role("heading", name="Already created: bot")).to_be_visible()
    assert secret not in content(reveal_page)
    assert ApiKey.objects.count() == 1


def test_after_signing_out_history_shows_nothing(reveal_page):
    secret = secret_of(reveal_page)
    leave(reveal_page)
    reveal_page.get_by_role("button", name="Olga, user menu").click()
    reveal_page.get_by_role("button", name="Sign out").click()
    expect(reveal_page.get_by_role("heading", name="Sign in")).to_be_visible()
    for _ in range(2):
        go(reveal_page, "back")
        assert secret not in content(reveal_page)


def test_going_back_and_forward_over_it_several_times_shows_nothing(reveal_page, public_url):
    secret = secret_of(reveal_page)
    leave(reveal_page)
    reveal_page.goto(f"{public_url}/a/northfold/access/roles/")
    for direction in ("back", "back", "forward", "forward", "back"):
        go(reveal_page, direction)
        assert secret not in content(reveal_page)


def test_another_tab_at_the_same_address_shows_the_form_and_no_secret(reveal_page):
    secret = secret_of(reveal_page)
    other = reveal_page.context.new_page()
    other.goto(reveal_page.url)
    expect(other.get_by_role("heading", name="Create API key")).to_be_visible()
    assert secret not in content(other)
    with reveal_page.context.expect_page() as opened:
        reveal_page.evaluate("open(location.href)")
    assert secret not in content(opened.value)


def test_a_new_browser_with_the_same_cookies_shows_no_secret(reveal_page, browser):
    secret = secret_of(reveal_page)
    restored = browser.new_context(storage_state=reveal_page.context.storage_state())
    page = restored.new_page()
    page.goto(reveal_page.url)
    expect(page.get_by_role("heading", name="Create API key")).to_be_visible()
    assert secret not in content(page)
    assert secret not in str(restored.storage_state())
    restored.close()


def test_a_browser_that_restores_its_tabs_shows_no_secret(
    reveal_page, tmp_path, browser_type_launch_args, browser_type
):
    """The profile is closed on the page of the secret and started again, with its tabs restored from disk."""
    cookies = reveal_page.context.storage_state()["cookies"]
    url = reveal_page.url
    flags = {**browser_type_launch_args, "args": [*browser_type_launch_args["args"], "--restore-last-session"]}
    first = browser_type.launch_persistent_context(str(tmp_path), **flags)
    first.add_cookies(cookies)
    page = first.new_page()
    page.goto(url)
    page.get_by_label("Name", exact=True).fill("second-bot")
    page.locator("#id_miners_all").check()
    page.get_by_label("Code from your authenticator app").fill(fresh_code(ApiKey.objects.get().created_by))
    page.locator("aside").get_by_role("button", name="Create key").click()
    secret = secret_of(page)
    page.get_by_label("I have copied it").check()
    first.close()
    again = browser_type.launch_persistent_context(str(tmp_path), **flags)
    again.pages[0].wait_for_timeout(2000)
    # The tab is there again: Chromium asks before it would send the form once more.
    assert any(tab.url != "about:blank" for tab in again.pages)
    for tab in again.pages:
        assert secret not in content(tab)
    again.close()
    assert secret.encode() not in b"".join(
        file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and "Session" in str(file.parent)
    )


def test_no_field_holds_it_for_a_password_manager(reveal_page):
    secret = secret_of(reveal_page)
    values = reveal_page.evaluate("[...document.querySelectorAll('input, textarea, select')].map((e) => e.value)")
    assert not [value for value in values if secret in value]
    box = reveal_page.get_by_label("I have copied it")
    assert box.get_attribute("data-1p-ignore") is not None


def test_leaving_before_it_is_copied_asks_first(reveal_page):
    asked = []

    def stay(dialog):
        asked.append(dialog.type)
        dialog.dismiss()

    reveal_page.on("dialog", stay)
    # The link is followed without waiting: the browser asks, and we stay.
    reveal_page.locator(".ph-nav").get_by_role("link", name="API keys").click(no_wait_after=True)
    expect(reveal_page.locator("#secret")).to_be_visible()
    assert asked == ["beforeunload"]


def test_it_stands_in_no_attribute_and_no_storage(reveal_page):
    secret = secret_of(reveal_page)
    assert content(reveal_page).count(secret) == 1
    assert secret not in reveal_page.url
    stored = reveal_page.evaluate("JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage)])")
    assert secret not in stored
