"""The walk of a custom role: made, given to a key that gets just that, fixed while in use, cloned."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from apikeys.models import Role
from tests.browser.test_main_job import call
from tests.factories import MinerFactory
from tests.people import fresh_code

ROLES = "/a/northfold/access/roles/"


@pytest.fixture
def miner(account):
    return MinerFactory(account=account, name="nf-0001")


def confirm(page: Page, owner, button: str) -> None:
    page.get_by_label("Code from your authenticator app").fill(fresh_code(owner))
    page.locator("aside").get_by_role("button", name=button).click()


def walk(page: Page, public_url: str, owner, miner) -> None:
    page.get_by_role("link", name="Create your first role").click()
    page.get_by_label("Name", exact=True).fill("Billing export")
    for permission in ("See names and IDs", "See payouts"):
        page.get_by_role("checkbox", name=permission).check()
    expect(page.get_by_role("checkbox", name="Create and change API keys")).to_be_disabled()
    confirm(page, owner, "Create role")
    expect(page.get_by_text("“Billing export” is created.")).to_be_visible()

    page.goto(f"{public_url}/a/northfold/access/api-keys/create/")
    page.get_by_label("Name", exact=True).fill("ERP export")
    page.get_by_role("radio", name="Billing export").check()
    page.locator("#id_miners_all").check()
    confirm(page, owner, "Create key")
    expect(page.get_by_role("heading", name="Key created: ERP export")).to_be_visible()
    secret = page.locator("#secret").inner_text()
    page.get_by_label("I have copied it").check()
    page.get_by_role("button", name="Done").click()
    expect(page.locator("tr", has_text="ERP export")).to_contain_text("Billing export")
    api = f"{public_url}/api/v1/miners/{miner.pk}"
    assert [call(f"{api}{path}", secret)[0] for path in ("", "/payments", "/workers")] == [200, 200, 403]

    page.get_by_role("link", name="Roles").click()
    row = page.locator("tbody tr", has_text="Billing export")
    expect(row.get_by_role("link", name="1 key")).to_be_visible()
    expect(row.get_by_role("button", name="Delete")).to_be_disabled()
    row.get_by_role("link", name="Edit").click()
    expect(page.get_by_text("1 key uses this role, so its permissions are fixed.")).to_be_visible()
    expect(page.get_by_role("checkbox", name="See workers")).to_be_disabled()
    page.get_by_role("link", name="Clone this role").click()
    expect(page.get_by_role("checkbox", name="See payouts")).to_be_checked()
    page.get_by_label("Name", exact=True).fill("Billing and workers")
    page.get_by_role("checkbox", name="See workers").check()
    confirm(page, owner, "Create role")
    expect(page.locator("tbody tr", has_text="Billing and workers")).to_contain_text("Sees names, workers and payouts.")
    assert call(f"{api}/workers", secret)[0] == 403


def test_an_owner_makes_a_role_gives_it_to_a_key_and_clones_it(sign_in_page, public_url, owner, miner, complaints):
    page = sign_in_page(owner, ROLES)
    walk(page, public_url, owner, miner)


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_the_same_without_javascript(sign_in_page, public_url, owner, miner, complaints):
    page = sign_in_page(owner, ROLES)
    walk(page, public_url, owner, miner)


def test_a_key_made_while_the_page_is_open_fixes_the_permissions_in_words(
    sign_in_page, public_url, owner, make_role, issue_key, complaints
):
    role = make_role("payouts:read")
    page = sign_in_page(owner, f"{ROLES}{role.pk}/edit/")
    page.get_by_role("checkbox", name="See workers").check()
    expect(page.locator("#summary")).to_contain_text("See workers and payouts")
    issue_key("custom", role=role)
    confirm(page, owner, "Save role")
    expect(page.locator("#errors")).to_contain_text("1 key uses this role")
    assert Role.objects.get().permissions == ["payouts:read"]
