"""Time zones by their IANA names: the one that a person chose, and all that there are to choose from."""

from __future__ import annotations

import datetime
from collections import defaultdict
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale
from babel.dates import get_timezone_location
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: The first part of a name. What has another first part is kept by the database for old systems alone.
AREAS: dict[str, _StrOrPromise] = {
    "Africa": _("Africa"),
    "America": _("America"),
    "Antarctica": _("Antarctica"),
    "Arctic": _("Arctic"),
    "Asia": _("Asia"),
    "Atlantic": _("Atlantic"),
    "Australia": _("Australia"),
    "Europe": _("Europe"),
    "Indian": _("Indian Ocean"),
    "Pacific": _("Pacific"),
}


def zone_named(name: str) -> datetime.tzinfo:
    """Return the zone that is called ``name``; UTC where the name is empty or this system doesn't know it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return datetime.UTC


def is_known(name: str) -> bool:
    return name in available_timezones()


def choices(at: datetime.datetime | None = None) -> list[tuple[_StrOrPromise, list[tuple[str, str]]]]:
    """Return (area, [(name, label)]) of every place, with the offset at the moment ``at``, now by default.

    A label begins with the place, "Almaty (UTC+05:00)", so that typing it in the list finds it.
    """
    at = at or timezone.now()
    by_area = defaultdict(list)
    for name in sorted(available_timezones()):
        area, _slash, place = name.partition("/")
        if place and area in AREAS:
            by_area[area].append((name, f"{_place(name)} ({offset(name, at)})"))
    for places in by_area.values():
        places.sort(key=lambda place: place[1])
    return [(title, by_area[area]) for area, title in AREAS.items() if by_area[area]]


def _place(name: str) -> str:
    """The place that a zone is called after, in the reader's language: "Almaty", "Алматы"."""
    language = get_language() or "en"
    # English has the database's own names, which programs show as well.
    if language.startswith("en"):
        return name.partition("/")[2].replace("_", " ")
    return get_timezone_location(name, locale=Locale.parse(language, sep="-"), return_city=True)


def offset(name: str, at: datetime.datetime) -> str:
    """Write the offset of a zone at a moment: "UTC−03:30"; "UTC" where there is none."""
    minutes = round((at.astimezone(zone_named(name)).utcoffset() or datetime.timedelta()).total_seconds() / 60)
    if not minutes:
        return "UTC"
    return f"UTC{'−' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
