"""Every page, light and dark, wide and narrow: accessible, quiet, still, and no wider than the screen.

With ``--screenshots=FOLDER`` each is written there as ``<name>-<width>-<scheme>.png``: that is `make screenshots`.
"""

from __future__ import annotations

import pytest

from tests.browser.every_page import shots
from tests.browser.every_staff_page import staff_shots
from tests.browser.looks import colours, open_shot, picture, problems, shift, show_in
from tests.web.test_access_matrix import OPEN, OWN, PAGES, POSTS

#: Answers no picture: posted to only, or nothing that people look at.
NO_PAGE = {
    *(route for route in PAGES if set(PAGES[route]) == {405}),
    "",
    "sign-out/",
    "language/",
    "passkey/begin/",
    "passkey/complete/",
    "me/passkeys/create/begin/",
    "me/second-factor/cancel/",
    "me/sessions/end-others/",
    "me/sessions/<uuid:session_id>/end/",
    "me/theme/",
    "integrations/github/secret-scanning",
    "healthz",
    "readyz",
    "metrics",
    "docs/",  # Swagger UI's own page: tests/browser/test_docs.py
    "docs/openapi.json",
}


def test_every_page_is_in_the_table(db):
    assert {shot.route for shot in shots()} >= (PAGES.keys() | POSTS.keys() | OPEN | OWN) - NO_PAGE


@pytest.mark.looks
@pytest.mark.parametrize("width", [1360, 390])
def test_every_page_is_accessible_quiet_still_and_fits(page, public_url, folder, complaints, width):
    found: list[str] = []
    page.on("dialog", lambda dialog: dialog.accept())  # leaves what was not saved
    for shot in shots():
        open_shot(page, public_url, shot, "light", width)
        found += [f"{shot.name}: {problem}" for problem in problems(page)]
        picture(page, folder, shot.name, width, "light")
        show_in(page, "dark", width)
        found += [f"{shot.name}, dark: {problem}" for problem in colours(page)]
        picture(page, folder, shot.name, width, "dark")
    assert not found, "\n".join(found)


@pytest.mark.looks
def test_a_page_that_comes_slowly_is_still(page, public_url):
    """Pages that stand in the middle, and lists whose columns are as wide as all of their rows ask for."""
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    moving = {"invitation-new": 390, "new-password": 390, "sign-in": 1360, "staff-events": 1360, "staff-miners": 1360}
    found: list[str] = []
    for shot in [*shots(), *staff_shots()]:
        if shot.name in moving:
            width = moving.pop(shot.name)
            for bytes_per_second in (-1, 40_000):  # its styles and scripts are in the cache then
                speed = {"downloadThroughput": bytes_per_second, "uploadThroughput": -1}
                line.send("Network.emulateNetworkConditions", {"offline": False, "latency": 0, **speed})
                open_shot(page, public_url, shot, "light", width)
            found += [f"{shot.name}: {problem}" for problem in shift(page)]
    assert not moving
    assert not found, "\n".join(found)
