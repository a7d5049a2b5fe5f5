"""The walk: an owner creates a key, a program uses it, the owner revokes it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from entities.models import Miner
from tests.browser.programs import call
from tests.factories import HubFactory, MinerFactory, PoolFactory, WorkerFactory
from tests.people import fresh_code


@pytest.fixture
def farm(account, other_account):
    miners = [MinerFactory(account=account, name=f"nf-{n:04}") for n in range(3)]
    WorkerFactory(miner=miners[0])
    HubFactory(account=account)
    PoolFactory(account=account)
    return {"miners": miners, "foreign": MinerFactory(account=other_account)}


def create_key(page: Page, owner, name: str, choose: str) -> str:
    page.get_by_role("link", name=re.compile("^Create (key|your first key)$")).click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("radio", name="Viewer").check()
    page.locator(choose).check()
    page.get_by_label("Code from your authenticator app").fill(fresh_code(owner))
    page.locator("aside").get_by_role("button", name="Create key").click()
    expect(page.get_by_role("heading", name=f"Key created: {name}")).to_be_visible()
    secret = page.locator("#secret").inner_text()
    page.get_by_label("I have copied it").check()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("heading", name="API keys", exact=True)).to_be_visible()
    return secret


def walk(page: Page, api: str, owner, farm, account) -> None:
    everything = create_key(page, owner, "monitoring-bot", "#id_miners_all")
    picked = create_key(page, owner, "one-miner-bot", f"input[value='{farm['miners'][0].pk}']")

    status, body = call(f"{api}/miners", everything)
    assert (status, len(body["data"])) == (200, 3)
    first = farm["miners"][0].pk
    assert call(f"{api}/miners/{first}/workers", everything)[0] == 200
    assert call(f"{api}/miners/{first}/hashrate", everything)[0] == 200
    status, body = call(f"{api}/miners/{first}/accruals", everything)
    assert (status, body["code"]) == (403, "permission_denied")
    assert "accruals:read" in body["detail"]
    assert call(f"{api}/miners/{farm['foreign'].pk}", everything)[0] == 404

    Miner.objects.create(account=account, environment="production", name="nf-new")
    assert len(call(f"{api}/miners", everything)[1]["data"]) == 4
    assert len(call(f"{api}/miners", picked)[1]["data"]) == 1

    page.get_by_role("link", name="monitoring-bot", exact=True).click()
    page.get_by_role("link", name="Revoke key…").click()
    page.get_by_label("Reason").select_option("unneeded")
    page.get_by_label("Code from your authenticator app").fill(fresh_code(owner))
    page.get_by_role("button", name="Revoke key").click()
    status, body = call(f"{api}/miners", everything)
    assert (status, body["code"]) == (401, "key_revoked")
    row = page.locator("#revoked tr", has_text="monitoring-bot")
    expect(row).to_contain_text("Viewer")
    expect(row).to_contain_text("All miners, current and future")
    assert call(f"{api}/miners", picked)[0] == 200


def test_an_owner_creates_a_key_a_program_uses_it_and_it_stops_when_revoked(
    sign_in_page, public_url, owner, farm, account, complaints
):
    page = sign_in_page(owner)
    expect(page.get_by_role("heading", name="No API keys yet")).to_be_visible()
    walk(page, f"{public_url}/api/v1", owner, farm, account)
