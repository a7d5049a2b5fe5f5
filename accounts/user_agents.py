"""Which browser on which system, in words, from the User-Agent header. For people to recognise, not for decisions."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

# The first that matches wins: most browsers also claim to be those further down.
BROWSERS = [
    ("Edge", r"\bEdg(?:e|A|iOS)?/(\d+)"),
    ("Opera", r"\b(?:OPR|Opera)/(\d+)"),
    ("Yandex Browser", r"\bYaBrowser/(\d+)"),
    ("Samsung Internet", r"\bSamsungBrowser/(\d+)"),
    ("Vivaldi", r"\bVivaldi/(\d+)"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/(\d+)"),
    ("Chrome", r"\b(?:Headless)?(?:Chrome|CriOS|Chromium)/(\d+)"),
    ("Safari", r"\bVersion/(\d+)[\d.]* (?:Mobile/\S+ )?Safari/"),
]
SYSTEMS = [
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("Windows", r"\bWindows\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("macOS", r"\bMac(?:intosh| OS X)\b"),
    ("Linux", r"\bLinux\b"),
]
HAND_HELD = ("iPhone", "iPad", "Android")


def describe(user_agent: str) -> str:
    """Return "Firefox 140 on Windows", or as much of it as can be told."""
    browser = next(
        (f"{name} {found[1]}" for name, pattern in BROWSERS if (found := re.search(pattern, user_agent))), ""
    )
    system = system_of(user_agent)
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or _("Unknown browser")


def system_of(user_agent: str) -> str:
    """Return the operating system's name; empty if it can't be told."""
    return next((name for name, pattern in SYSTEMS if re.search(pattern, user_agent)), "")


def is_hand_held(user_agent: str) -> bool:
    """Whether this is a phone or a tablet."""
    return system_of(user_agent) in HAND_HELD
