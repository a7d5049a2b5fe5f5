"""The API's documentation in a browser, under the strict CSP, light and dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from apikeys import openapi


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_operation_is_listed_and_nothing_is_blocked(page, public_url, complaints, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{public_url}/docs/")
    operations = sum(len(methods) for methods in openapi.document()["paths"].values())
    expect(page.locator(".opblock")).to_have_count(operations)
    page.locator("#operations-Miners-listMiners .opblock-summary-control").click()
    expect(page.get_by_text("entities:read").first).to_be_visible()
    assert ("dark-mode" in (page.locator("html").get_attribute("class") or "")) == (scheme == "dark")


@pytest.mark.parametrize("width", [390, 1360])
def test_it_fits_its_window(page, public_url, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{public_url}/docs/")
    expect(page.locator(".opblock").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
