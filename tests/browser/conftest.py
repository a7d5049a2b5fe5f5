"""Chromium against the real server: what people see and do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from accounts.models import User
from tests.factories import PASSWORD
from tests.people import fresh_code

# Playwright's synchronous API runs an event loop in this thread; the ORM is still only used from here and the server.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in str(item.path):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "Browser tests need Chromium: apt-get install chromium"
    flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-quic"]
    return {**browser_type_launch_args, "executable_path": chromium, "args": flags}


@pytest.fixture(autouse=True)
def public_url(live_server, settings) -> str:
    settings.PITHEAD_PUBLIC_URL = live_server.url
    settings.OTP_WEBAUTHN_ALLOWED_ORIGINS = [live_server.url]
    return live_server.url


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path | None:
    """Where pictures of pages are written, if anywhere."""
    chosen = request.config.getoption("--screenshots")
    if not chosen:
        return None
    Path(chosen).mkdir(parents=True, exist_ok=True)
    return Path(chosen)


@pytest.fixture
def complaints(context: BrowserContext) -> Iterator[list[str]]:
    """Whatever the browser complains of, CSP violations among it. A test that ends with any fails."""
    found: list[str] = []
    context.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: found.append(str(error.error)))
    yield found
    assert [line for line in found if "status of 4" not in line] == []


@pytest.fixture
def sign_in_page(page: Page, public_url: str) -> Callable[[User], Page]:
    """Sign somebody in as they would: address, password, code."""

    def sign_in(user: User, path: str = "/") -> Page:
        page.goto(public_url + path)
        page.get_by_label("Email").fill(user.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Code from your authenticator app").fill(fresh_code(user))
        page.get_by_role("button", name="Sign in").click()
        return page

    return sign_in
