"""The ways in which people use a page: with a mouse, with JavaScript or without, and with the keyboard alone."""

from __future__ import annotations

from playwright.sync_api import ElementHandle, Error, Locator, Page

MOST_STOPS = 120
MOST_PRESSES = 3


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until ``target`` has the focus, as somebody without a mouse does."""
    target.wait_for()
    for _ in range(MOST_STOPS):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{target} is not reached by the keyboard")


class Mouse:
    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, target: Locator) -> None:
        """Follow a link, or press a button."""
        target.click()

    def tick(self, box: Locator) -> None:
        box.check()

    def write(self, field: Locator, text: str) -> None:
        """Replace what a field holds."""
        field.fill(text)

    def select(self, field: Locator, label: str) -> None:
        field.select_option(label=label)

    def radio(self, group: Locator, wanted: Locator) -> None:
        """Choose ``wanted`` among ``group``."""
        wanted.check()


def _met(pressed: ElementHandle) -> bool:
    """Whether ``pressed`` has the focus, which a press gives, or went away with its page."""
    try:
        return pressed.evaluate("element => !element.isConnected || element === element.ownerDocument.activeElement")
    except Error:  # another page is there
        return True


class MouseWithoutJavaScript(Mouse):
    """Playwright sees by JavaScript alone that a page moved between its look and its press, and presses again."""

    def press(self, target: Locator) -> None:
        pressed = target.element_handle()
        for _ in range(MOST_PRESSES):
            target.click()
            if _met(pressed):
                return
        raise AssertionError(f"{target} does not take a press")


class Keyboard(Mouse):
    def press(self, target: Locator) -> None:
        tab_to(self.page, target)
        self.page.keyboard.press("Enter")

    def tick(self, box: Locator) -> None:
        tab_to(self.page, box)
        self.page.keyboard.press("Space")

    def write(self, field: Locator, text: str) -> None:
        tab_to(self.page, field)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def select(self, field: Locator, label: str) -> None:
        tab_to(self.page, field)
        self.page.keyboard.type(label)

    def radio(self, group: Locator, wanted: Locator) -> None:
        tab_to(self.page, group.and_(self.page.get_by_role("radio", checked=True)))
        for _ in range(group.count()):
            if wanted.is_checked():
                return
            self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"{wanted} is not reached by the arrow keys")
