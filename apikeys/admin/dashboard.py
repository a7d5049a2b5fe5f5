"""The numbers on the staff admin's first page: each is the length of a list, and leads to that list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from accounts.admin_paging import CappedPaginator
from accounts.models import Account, AuditEvent
from apikeys.admin.watch_filters import DAY
from apikeys.models import ActiveKey, RevokedKey, SupportKey, UsageTotal

#: Who sees the dashboard; each number takes the permission to see its list besides.
PERMISSION = "apikeys.view_apikey"


@dataclass(frozen=True)
class Tile:
    """How many rows ``section`` lists under ``query``. ``tone`` colours a number that is not zero: warn or danger."""

    label: str
    section: type[Model]
    query: dict[str, str]
    note: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Shown:
    """A tile as the page draws it: ``number`` in words, where a click leads, and its colour."""

    label: str
    number: str
    url: str
    note: str = ""
    tone: str = ""


def table() -> dict[str, list[Tile]]:
    """What staff watch, by heading."""
    return {
        "API keys": [
            Tile("Active", ActiveKey, {"status": "active"}),
            Tile("Disabled", ActiveKey, {"status": "disabled"}),
            Tile("Expired", ActiveKey, {"status": "expired"}),
            Tile("Without a secret", ActiveKey, {"status": "without_secret"}, "refused until they get a new one"),
            Tile("Revoked", RevokedKey, {}),
        ],
        "The last 24 hours": [
            Tile("Security events", AuditEvent, {"security": "1", "when": "day"}, tone="warn"),
        ],
        "To look after": [
            Tile("Overdue for rotation", ActiveKey, {"rotation": "overdue"}, "by their accounts’ policies", "warn"),
            Tile("Expiring in 30 days", ActiveKey, {"expiry": "soon"}, tone="warn"),
            Tile("Support keys left", SupportKey, {}),
            Tile("Support keys in use", SupportKey, {"use": "current"}, "to be replaced first", "warn"),
            Tile("Signing keys to rotate", Account, {"signing": "old"}, "accounts whose newest is over a year", "warn"),
            Tile("Accounts suspended", Account, {"status": "suspended"}, tone="danger"),
        ],
    }


def headings(request: HttpRequest) -> dict[str, list[Shown]]:
    """The dashboard for this staff member: numbers under their headings, without what they may not list."""
    now = timezone.now()
    shown = {heading: list(_shown(tiles, request)) for heading, tiles in table().items()}
    shown["The last 24 hours"][:0] = _requests(now)
    return {heading: tiles for heading, tiles in shown.items() if tiles}


def _shown(tiles: Iterable[Tile], request: HttpRequest) -> Iterable[Shown]:
    for tile in tiles:
        rows = _narrowed(tile, request)
        if rows is not None:
            pages = CappedPaginator(rows, 1)
            url = reverse(f"admin:{tile.section._meta.app_label}_{tile.section._meta.model_name}_changelist")
            url += f"?{urlencode(tile.query)}" if tile.query else ""
            yield Shown(tile.label, pages.total, url, tile.note, tile.tone if pages.count else "")


def _narrowed(tile: Tile, request: HttpRequest) -> QuerySet[Any] | None:
    """The rows that the tile's list shows, by the list's own filters; None where this person has no such list."""
    if not admin.site.is_registered(tile.section):
        return None
    section = admin.site.get_model_admin(tile.section)
    if not section.has_view_permission(request):
        return None
    rows, left = section.get_queryset(request), {name: [value] for name, value in tile.query.items()}
    for item in section.get_list_filter(request):
        if isinstance(item, type):  # all of them: one may narrow the list without being asked
            narrowed = item(request, left, tile.section, section).queryset(request, rows)
            rows = rows if narrowed is None else narrowed
    return None if left else rows


def _requests(now: datetime) -> list[Shown]:
    """How many requests keys made in the last day, by the hour, and how many of them were refused."""
    made = UsageTotal.objects.filter(hour__gt=now - DAY).aggregate(requests=Sum("requests"), refused=Sum("refused"))
    requests, refused = made["requests"] or 0, made["refused"] or 0
    keys = reverse("admin:apikeys_activekey_changelist")
    share = f"{refused / requests:.1%} of all" if refused else ""
    return [
        Shown("Requests", f"{requests:,}", f"{keys}?last_day=used"),
        Shown("Refused", f"{refused:,}", f"{keys}?last_day=refused", share, "warn" if refused else ""),
    ]
