"""What tables of pages are made of, and what is wrong with a page that a browser has open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page

from accounts.models import User
from tests.people import sign_in

#: Of the demo's people: the owner of the account that is set up, and staff of the pool.
OWNER = "ines@northfold.example"
STAFF = "saga@pithead.example"
NOBODY = ""
#: The share of the screen that moved, weighed by how far: at most 0.1 is “good” (web.dev/cls).
MOST_SHIFT = 0.05

SHIFT = """() => new Promise((resolve) => {
  let total = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) total += entry.value;
  }).observe({ type: 'layout-shift', buffered: true });
  setTimeout(() => resolve(total), 50);
})"""
#: What is in order is not described node by node, which takes most of the time.
ONLY_VIOLATIONS = {"resultTypes": ["violations"]}
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass(frozen=True)
class Shot:
    """A picture's name, the route that it shows as the URLconf writes it, the address, and who looks.

    ``act`` leads from the page at the address to the state that is meant.
    """

    name: str
    route: str
    path: str
    who: str = OWNER
    act: Callable[[Page], None] | None = None


def open_shot(page: Page, public_url: str, shot: Shot, scheme: str, width: int) -> None:
    """Open ``shot``, signed in as who looks, in their colours and on their screen.

    In the same tab as the one before: Chromium starts no other process and needn't compile axe anew.
    """
    context = page.context
    context.clear_cookies()
    if shot.who != NOBODY:
        client = sign_in(Client(), User.objects.get(email=shot.who))
        name = settings.SESSION_COOKIE_NAME
        context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": public_url}])
    show_in(page, scheme, width)
    page.goto(public_url + shot.path)
    if shot.act:
        shot.act(page)


def show_in(page: Page, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})


def problems(page: Page) -> list[str]:
    """All that is wrong with the page as it is shown."""
    return [*shift(page), *width(page), *accessibility(page)]


def shift(page: Page) -> list[str]:
    moved = page.evaluate(SHIFT)
    return [f"its layout shifts by {moved:.3f}"] if moved > MOST_SHIFT else []


def width(page: Page) -> list[str]:
    sideways = page.evaluate(SIDEWAYS)
    return [f"it is {sideways} px too wide"] if sideways > 0 else []


def accessibility(page: Page, *, besides: tuple[str, ...] = ()) -> list[str]:
    """What axe finds, ``besides`` some of its rules."""
    return _findings(page, {"rules": {rule: {"enabled": False} for rule in besides}})


def colours(page: Page) -> list[str]:
    """What axe finds of colours alone: in another scheme nothing else of a page differs."""
    return _findings(page, {"runOnly": {"type": "rule", "values": COLOUR_RULES}})


def _findings(page: Page, options: dict[str, object]) -> list[str]:
    findings = Axe().run(page, options=ONLY_VIOLATIONS | options)
    return [findings.generate_report()] if findings.violations_count else []


def picture(page: Page, folder: Path | None, name: str, width: int, scheme: str) -> None:
    """Write what the page looks like into ``folder``, if there is one."""
    if folder:
        page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
