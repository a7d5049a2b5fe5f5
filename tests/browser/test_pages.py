"""Every owner's page: no accessibility finding, no browser complaint, no sideways scrolling, light and dark."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from accounts.models import Account
from tests.factories import PASSWORD, MembershipFactory, MinerFactory, UserFactory

KEYS = "/a/northfold/access/api-keys/"
ROLES = "/a/northfold/access/roles/"


@pytest.fixture
def people_and_keys(account, other_account, owner, issue_key, make_role):
    MinerFactory.create_batch(3, account=account)
    key, _ = issue_key("treasurer", ["*:miners/*"], name="Grafana fleet dashboards")
    issue_key("administrator", ["*:*"], environment="staging", name="Smoke tests")
    unused, role = make_role("stats:read", name="Autotuner"), make_role("entities:read", "payouts:read")
    issue_key("custom", ["*:miners/*"], role=role, name="ERP export")
    unset = Account.objects.create(name="Kestrel Test Farm", slug="kestrel")
    MembershipFactory(account=unset, user=owner, is_owner=True, access_level="administrator")
    MembershipFactory(account=other_account, user=owner, is_owner=True, access_level="administrator")
    return key, role, unused


def paths(key, role, unused) -> list[str]:
    return [
        KEYS,
        "/a/kestrel/access/api-keys/",
        "/a/borealis/access/api-keys/",
        f"{KEYS}create/",
        f"{KEYS}{key.key_id}/",
        f"{KEYS}{key.key_id}/revoke/",
        ROLES,
        "/a/borealis/access/roles/",
        f"{ROLES}create/",
        f"{ROLES}{role.pk}/edit/",
        f"{ROLES}{unused.pk}/edit/",
        f"{ROLES}{role.pk}/clone/",
        f"{ROLES}{unused.pk}/delete/",
        "/me/second-factor/",
        "/me/second-factor/replace/",
        "/me/recovery-codes/",
        "/nowhere/",
    ]


def check(page: Page) -> None:
    findings = Axe().run(page)
    assert findings.violations_count == 0, f"{page.url}\n{findings.generate_report()}"
    sideways = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert not sideways, f"{page.url} scrolls sideways"


@pytest.mark.parametrize("width", [1360, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible_and_fit(
    page, sign_in_page, people_and_keys, owner, public_url, complaints, scheme, width
):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{public_url}/sign-in/")
    check(page)
    sign_in_page(owner)
    for path in paths(*people_and_keys):
        page.goto(public_url + path)
        check(page)


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


def code_from(seed: str) -> str:
    import time
    from base64 import b32decode

    from django_otp.oath import TOTP

    totp = TOTP(b32decode(seed + "=" * (-len(seed) % 8)))
    totp.time = time.time()
    return f"{totp.token():06}"
