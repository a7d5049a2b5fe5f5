"""Every page of the staff admin: accessible in light and dark, quiet, still, and no wider than a phone.

With ``--screenshots=FOLDER`` each is written there as ``<name>-<width>-<scheme>.png``.
"""

from __future__ import annotations

import pytest

from accounts.models import User
from tests.browser.every_staff_page import staff_shots
from tests.browser.looks import accessibility, colours, open_shot, picture, shift, show_in, width

WIDE, NARROW = 1360, 390
#: Django's table of rows within a form has a first column without a head: the names that stand above its rows.
DJANGOS_OWN = ("empty-table-header",)


@pytest.mark.looks
@pytest.mark.parametrize("half", [0, 1])
def test_every_staff_page_is_accessible_quiet_still_and_fits(page, public_url, folder, complaints, half):
    found: list[str] = []
    page.on("dialog", lambda dialog: dialog.accept())  # leaves what was not saved
    for shot in staff_shots()[half::2]:
        # Loaded once: the looks differ by style alone.
        open_shot(page, public_url, shot, "light", WIDE)
        found += [f"{shot.name}: {problem}" for problem in (*shift(page), *width(page))]
        said = len(complaints)
        found += [f"{shot.name}: {problem}" for problem in accessibility(page, besides=DJANGOS_OWN)]
        picture(page, folder, shot.name, WIDE, "light")
        show_in(page, "dark", WIDE)
        found += [f"{shot.name}, dark: {problem}" for problem in colours(page)]
        picture(page, folder, shot.name, WIDE, "dark")
        for scheme in ("dark", "light") if folder else ("light",):
            show_in(page, scheme, NARROW)
            picture(page, folder, shot.name, NARROW, scheme)
        found += [f"{shot.name} on a phone: {problem}" for problem in width(page)]
        del complaints[said:]  # axe writes style attributes on select2's fields
    assert not found, "\n".join(found)


def test_the_admin_has_the_persons_own_theme(sign_in_page, staff, complaints):
    page = sign_in_page(staff, "/admin/")
    page.get_by_role("heading", name="Latest changes").wait_for()
    page.emulate_media(color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    User.objects.filter(pk=staff.pk).update(theme="dark")
    page.reload()
    dark = page.evaluate(background)
    assert dark != light
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    page.emulate_media(color_scheme="dark")
    User.objects.filter(pk=staff.pk).update(theme="light")
    page.reload()
    assert page.evaluate(background) == light
