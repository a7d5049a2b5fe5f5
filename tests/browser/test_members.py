"""The walk of a new colleague: invited, joined in another browser, working, removed, out."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from playwright.sync_api import Browser, Page, expect

from accounts.models import Membership
from tests.browser.test_pages import check, code_from
from tests.people import fresh_code

MEMBERS = "/a/northfold/access/members/"
KEYS = "/a/northfold/access/api-keys/"


def type_code(page: Page, user) -> None:
    page.get_by_label("Code from your authenticator app").fill(fresh_code(user))


def walk(owners: Page, theirs: Page, public_url: str, owner) -> None:
    owners.get_by_role("link", name="Invite somebody").click()
    owners.get_by_label("Email").fill("nora@example.com")
    owners.get_by_role("radio", name="Accountant").check()
    owners.get_by_role("checkbox", name="Create API keys").check()
    owners.locator("#id_is_owner").check()
    expect(owners.get_by_role("radio", name="Accountant")).to_be_hidden()
    owners.locator("#id_is_owner").uncheck()
    type_code(owners, owner)
    owners.get_by_role("button", name="Send invitation").click()
    expect(owners.locator("tr", has_text="nora@example.com")).to_contain_text("Open")

    link = re.search(r"http://\S+/invitations/\S+", mail.outbox[-1].body)[0]
    theirs.goto(link)
    assert theirs.url == f"{public_url}/invitations/open/"
    assert link not in theirs.content()
    theirs.get_by_label("Your name").fill("Nora Vik")
    theirs.get_by_label("New password", exact=True).fill("seven quiet harbours")
    theirs.get_by_label("New password, again").fill("seven quiet harbours")
    theirs.get_by_role("button", name="Join").click()
    seed = theirs.locator("#manual").inner_text().replace(" ", "")
    theirs.get_by_label("Code from the app").fill(code_from(seed))
    theirs.get_by_role("button", name="Turn on").click()
    theirs.get_by_label("I have saved them").check()
    theirs.get_by_role("button", name="Done").click()
    expect(theirs.get_by_role("heading", name="No API keys yet")).to_be_visible()
    assert theirs.url.rstrip("?") == public_url + KEYS
    theirs.get_by_role("link", name="Members").click()
    expect(theirs.get_by_role("button", name="Invite somebody")).to_be_disabled()
    expect(theirs.get_by_text("Only an owner changes members: ask Olga.")).to_be_visible()
    theirs.goto(f"{public_url}{KEYS}create/")

    # Removed while their page is open: out at the next click.
    owners.reload()
    row = owners.locator("tr", has_text="Nora Vik")
    expect(row).to_contain_text("See, create")
    row.get_by_role("link", name="Remove Nora Vik").click()
    expect(owners.get_by_text("No active key was created by them")).to_be_visible()
    type_code(owners, owner)
    owners.get_by_role("button", name="Remove member").click()
    expect(owners.get_by_text("Nora Vik is no longer a member")).to_be_visible()
    theirs.get_by_role("link", name="API keys").first.click()
    expect(theirs.get_by_role("heading", name="Page not found")).to_be_visible()
    theirs.goto(public_url)
    expect(theirs.get_by_role("heading", name="You belong to no account yet")).to_be_visible()
    assert Membership.objects.count() == 1


def test_an_owner_invites_a_colleague_who_joins_and_is_removed(
    sign_in_page, public_url, owner, browser: Browser, complaints
):
    owners = sign_in_page(owner, MEMBERS)
    with browser.new_context() as another:
        theirs = another.new_page()
        walk(owners, theirs, public_url, owner)
        check(theirs)


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_the_same_without_javascript(sign_in_page, public_url, owner, browser: Browser, complaints):
    owners = sign_in_page(owner, MEMBERS)
    with browser.new_context(java_script_enabled=False) as another:
        walk(owners, another.new_page(), public_url, owner)


def test_the_account_is_switched_by_keyboard_alone(sign_in_page, public_url, member, other_account, complaints):
    Membership.objects.create(account=other_account, user=member)
    page = sign_in_page(member, MEMBERS)
    switcher = page.get_by_role("button", name="Account: Northfold Mining")
    switcher.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Borealis Hosting")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Borealis Hosting")).to_be_hidden()
    expect(switcher).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Borealis Hosting")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{public_url}/a/borealis/access/members/")
    check(page)
