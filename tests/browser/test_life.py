"""The whole life of a key, from its creation to its deletion: by mouse, by keyboard alone, and without JavaScript."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from accounts.models import Account
from apikeys.models import ApiKey
from tests.browser.hands import Keyboard, Mouse, MouseWithoutJavaScript
from tests.browser.programs import call
from tests.factories import MinerFactory
from tests.people import fresh_code


@pytest.fixture
def farm(account):
    Account.objects.filter(pk=account.pk).update(permanent_delete=True)
    return [MinerFactory(account=account, name=f"nf-{n:04}") for n in range(3)]


class Life:
    """A person at the page, and the programs that use the key meanwhile."""

    def __init__(self, page: Page, hand: Mouse, owner, public_url: str) -> None:
        self.page = page
        self.hand = hand
        self.owner = owner
        self.whoami = f"{public_url}/api/v1/key"

    def link(self, name: str | re.Pattern[str]) -> None:
        self.hand.press(self.page.get_by_role("link", name=name, exact=isinstance(name, str)).first)

    def button(self, name: str) -> None:
        self.hand.press(self.page.get_by_role("button", name=name, exact=True).locator("visible=true").first)

    def code(self) -> None:
        self.hand.write(self.page.get_by_label("Code from your authenticator app"), fresh_code(self.owner))

    def take_secret(self, heading: str) -> str:
        expect(self.page.get_by_role("heading", name=heading)).to_be_visible()
        secret = self.page.locator("#secret").inner_text()
        self.hand.tick(self.page.get_by_label("I have copied it"))
        self.button("Done")
        expect(self.page.locator("#secret")).to_have_count(0)
        return secret

    def open_key(self) -> None:
        if not self.page.get_by_role("heading", name="Grafana", exact=False).count():
            self.link("Grafana")
        expect(self.page.get_by_role("heading", name=re.compile("^Grafana"))).to_be_visible()

    def answers(self, *secrets: str) -> list[str | int]:
        results = []
        for secret in secrets:
            status, body = call(self.whoami, secret)
            results.append(200 if status == 200 else body["code"])
        return results

    def live(self) -> None:
        first = self.create()
        assert self.answers(first) == [200]
        self.edit()
        self.disable_and_enable(first)
        second = self.rotate(first)
        self.end_overlap(first, second)
        third = self.regenerate(second)
        self.revoke(third)
        self.delete(third)

    def create(self) -> str:
        self.link("Create your first key")
        self.hand.write(self.page.get_by_label("Name", exact=True), "Grafana")
        levels = self.page.locator("[name=access_level]")
        self.hand.radio(levels, self.page.get_by_role("radio", name=re.compile("^Accountant")))
        self.hand.tick(self.page.locator("#id_miners_all"))
        self.code()
        self.button("Create key")
        return self.take_secret("Key created: Grafana")

    def edit(self) -> None:
        self.open_key()
        self.link("Edit")
        self.hand.write(self.page.get_by_label(re.compile("^Rate limit")), "120")
        self.code()
        self.button("Save changes")
        expect(self.page.get_by_text("120 a minute").first).to_be_visible()

    def disable_and_enable(self, secret: str) -> None:
        self.open_key()
        self.button("Disable key")
        expect(self.page.get_by_text("is switched off")).to_be_visible()
        assert self.answers(secret) == ["key_disabled"]
        self.link("Switch on…")
        self.code()
        self.button("Switch on")
        expect(self.page.get_by_text("is switched on")).to_be_visible()
        assert self.answers(secret) == [200]

    def rotate(self, old: str) -> str:
        self.open_key()
        self.link("Rotate")
        self.hand.radio(self.page.get_by_role("radio"), self.page.get_by_role("radio", name=re.compile("^7 days")))
        self.code()
        self.button("Rotate key")
        new = self.take_secret("New secret for Grafana")
        assert self.answers(old, new) == [200, 200]
        return new

    def end_overlap(self, old: str, new: str) -> None:
        self.open_key()
        self.link("End overlap now…")
        self.code()
        self.button("End overlap now")
        expect(self.page.get_by_text("The new one works on")).to_be_visible()
        assert self.answers(old, new) == ["key_revoked", 200]

    def regenerate(self, old: str) -> str:
        self.open_key()
        self.link("Replace secret…")
        self.code()
        self.button("Replace secret")
        new = self.take_secret("New secret for Grafana")
        assert self.answers(old, new) == ["key_revoked", 200]
        return new

    def revoke(self, secret: str) -> None:
        self.open_key()
        self.link("Revoke key…")
        self.hand.select(self.page.get_by_label("Reason"), "No longer needed")
        self.code()
        self.button("Revoke key")
        expect(self.page.get_by_text("is revoked")).to_be_visible()
        assert self.answers(secret) == ["key_revoked"]

    def delete(self, secret: str) -> None:
        self.open_key()
        self.link("Delete key…")
        self.hand.write(self.page.get_by_label("Type the name of the key"), "Grafana")
        self.code()
        self.button("Delete for good")
        expect(self.page.get_by_text("is deleted")).to_be_visible()
        assert not ApiKey.objects.exists()
        assert self.answers(secret) == ["invalid_key"]


@pytest.mark.parametrize("hand", [Mouse, Keyboard])
def test_a_key_lives_by_mouse_and_by_keyboard_alone(sign_in_page, public_url, owner, farm, complaints, hand):
    page = sign_in_page(owner)
    Life(page, hand(page), owner, public_url).live()


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_a_key_lives_without_javascript(sign_in_page, public_url, owner, farm, complaints):
    page = sign_in_page(owner)
    Life(page, MouseWithoutJavaScript(page), owner, public_url).live()
