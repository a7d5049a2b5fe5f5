"""What people meet on their pages: the first set-up, controls that are switched off, a summary that follows."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from apikeys import lifecycle, roles
from tests.browser.looks import SIDEWAYS
from tests.conftest import COMMAND
from tests.factories import PASSWORD, MembershipFactory, MinerFactory, UserFactory

KEYS = "/a/northfold/access/api-keys/"


def check(page: Page) -> None:
    findings = Axe().run(page)
    assert findings.violations_count == 0, f"{page.url}\n{findings.generate_report()}"
    sideways = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert not sideways, f"{page.url} scrolls sideways"


def test_a_new_person_sets_the_second_factor_up_and_lands_where_they_were_going(page, account, public_url, complaints):
    person_ = UserFactory(name="Nora", email="nora@example.com")
    MembershipFactory(account=account, user=person_, can_view_keys=True)
    page.goto(public_url + KEYS)
    page.get_by_label("Email").fill("nora@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    check(page)
    seed = page.locator("#manual").inner_text().replace(" ", "")
    page.get_by_label("Code from the app").fill("000000")
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_text("That code is not right")).to_be_visible()
    assert page.locator("#manual").inner_text().replace(" ", "") == seed
    page.get_by_label("Code from the app").fill(code_from(seed))
    page.get_by_role("button", name="Turn on").click()
    expect(page.locator("#codes li")).to_have_count(10)
    check(page)
    page.get_by_label("I have saved them").check()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("heading", name="No API keys yet")).to_be_visible()
    assert page.url.rstrip("?") == public_url + KEYS


def test_what_a_member_may_not_do_is_shown_disabled_with_the_reason(sign_in_page, account, member, issue_key):
    issue_key("viewer", ["*:*"], name="bot")
    page = sign_in_page(member)
    expect(page.get_by_role("button", name="Create key")).to_be_disabled()
    expect(page.get_by_role("switch", name="Enabled: bot")).to_be_disabled()
    expect(page.get_by_text("Ask an owner of Northfold Mining")).to_be_visible()


def test_the_summary_follows_what_is_typed(sign_in_page, owner, account):
    MinerFactory.create_batch(70, account=account)
    MinerFactory(account=account, environment="staging", name="only-in-staging")
    page = sign_in_page(owner, f"{KEYS}create/")
    summary = page.locator("#summary")
    expect(summary).to_contain_text("Reaches nothing yet")
    page.locator("#id_miners_all").check()
    expect(summary).to_contain_text("For all miners, current and future")
    page.get_by_role("radio", name="Treasurer").check()
    expect(summary).to_contain_text("Change client commissions")
    page.locator("#id_miners_all").uncheck()
    last = account.entities.filter(environment="production").order_by("-name").first()
    page.locator("#id_find_miners").fill(last.name)
    expect(page.locator("#miners li")).to_have_count(1)
    page.locator("label", has_text="Staging").click()
    expect(page.locator("#miners")).to_contain_text("only-in-staging")


@pytest.mark.parametrize("width", [1360, 390])
def test_the_longest_names_widen_no_page(sign_in_page, owner, account, issue_key, width):
    role = roles.create(account, actor=COMMAND, name="y" * 60, permissions=["stats:read"])
    wide = {"name": "W" * 80, "description": "D" * 200, "role": role}
    key, _ = issue_key("custom", **wide)
    gone, _ = issue_key("custom", **wide)
    lifecycle.revoke(gone, actor=COMMAND, reason="other", note="N" * 200)
    page = sign_in_page(owner)
    page.set_viewport_size({"width": width, "height": 900})
    one = f"{KEYS}{key.key_id}/"
    paths = ["", "create/", f"{gone.key_id}/", *(f"{key.key_id}/{end}" for end in ("", "edit/", "rotate/", "revoke/"))]
    for path in [*(KEYS + each for each in paths), f"{one}explain/", "/a/northfold/access/roles/"]:
        page.goto(page.url.split("/a/")[0] + path)
        assert page.evaluate(SIDEWAYS) <= 0, path
    page.goto(page.url.split("/a/")[0] + KEYS)
    for area in page.locator(".ph-scroll").all():
        assert area.evaluate("area => area.scrollWidth <= area.clientWidth"), "a table scrolls"
    filters = page.locator(".ph-filters select:visible").all()
    if width > 1000:
        assert len({round(each.bounding_box()["y"]) for each in filters}) == 1, "the filters stand in two lines"


def code_from(seed: str) -> str:
    import time
    from base64 import b32decode

    from django_otp.oath import TOTP

    totp = TOTP(b32decode(seed + "=" * (-len(seed) % 8)))
    totp.time = time.time()
    return f"{totp.token():06}"
