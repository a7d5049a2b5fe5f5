"""What the list of keys is asked for, and how its address says so. Whatever is unknown falls back without an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.db.models import F, Q
from django.db.models.expressions import OrderBy
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.access_levels import AccessLevel
from accounts.environments import Environment
from apikeys import roles
from apikeys.key_queries import ApiKeyQuerySet
from apikeys.models import Role

#: Of many keys, which other languages than English say in other words than of one.
STATUSES: dict[str, str | Promise] = {
    "active": pgettext_lazy("keys", "Active"),
    "disabled": pgettext_lazy("keys", "Disabled"),
    "expired": pgettext_lazy("keys", "Expired"),
    "without_secret": pgettext_lazy("keys", "No secret"),
    "all": pgettext_lazy("keys", "All"),
}
DEFAULT_STATUS, DEFAULT_SORT = "active", "-created"
#: name in the address -> the column, and whether rows without a value are the least; None: all have one
SORTS: dict[str, tuple[str, bool | None]] = {
    "created": ("created_at", None),
    "name": ("name", None),
    "used": ("last_used_at", True),  # never used before used long ago
    "expires": ("expires_at", False),  # no expiry after any
}
#: What phones, which have no column headers, choose from.
SORT_CHOICES: dict[str, str | Promise] = {
    "-created": _("Newest first"),
    "created": _("Oldest first"),
    "name": _("By name"),
    "-used": _("Used last"),
    "used": _("Unused longest"),
    "expires": _("Expiring first"),
}


@dataclass(frozen=True)
class KeyFilters:
    status: str = DEFAULT_STATUS
    environment: str = ""
    level: str = ""
    q: str = ""
    #: "left": only keys made by people who are no longer members.
    creator: str = ""
    sort: str = DEFAULT_SORT
    roles: Sequence[Role] = field(default=(), compare=False)

    @classmethod
    def read(cls, query: Mapping[str, str], of_account: Sequence[Role]) -> KeyFilters:
        """Take from an address what can be meant by it."""
        status, environment = query.get("status", ""), query.get("environment", "")
        level, sort = query.get("level", ""), query.get("sort", "")
        levels = {*(each.value for each in AccessLevel), *(roles.name_level(role) for role in of_account)}
        return cls(
            status=status if status in STATUSES else DEFAULT_STATUS,
            environment=environment if environment in Environment.values else "",
            level=level if level in levels else "",
            q=query.get("q", "").replace("\x00", "").strip()[:80],
            creator="left" if query.get("creator") == "left" else "",
            sort=sort if sort.removeprefix("-") in SORTS else DEFAULT_SORT,
            roles=of_account,
        )

    @property
    def narrowed(self) -> bool:
        """Whether something other than the status leaves keys out."""
        return bool(self.environment or self.level or self.q or self.creator)

    def narrow(self, keys: ApiKeyQuerySet) -> ApiKeyQuerySet:
        """Apply everything but status and order."""
        if self.environment:
            keys = keys.filter(environment=self.environment)
        if role := next((role for role in self.roles if roles.name_level(role) == self.level), None):
            keys = keys.filter(role=role)
        elif self.level:
            keys = keys.filter(access_level=self.level)
        if self.q:
            found = Q(name__icontains=self.q)
            keys = keys.filter(found | Q(key_id__startswith=self.q) if self.q.startswith("key_") else found)
        return keys.creator_left() if self.creator else keys

    def select(self, keys: ApiKeyQuerySet) -> ApiKeyQuerySet:
        """Of ``keys``, narrowed before, those of the status, in order."""
        by_status = {
            "active": keys.active,
            "disabled": keys.disabled,
            "expired": keys.expired,
            "without_secret": keys.without_secret,
            "all": keys.not_revoked,
        }
        column, empty_is_least = SORTS[self.sort.removeprefix("-")]
        descending = self.sort.startswith("-")
        empty_first = None if empty_is_least is None else empty_is_least != descending
        order = OrderBy(
            F(column),
            descending=descending,
            nulls_first=True if empty_first else None,
            nulls_last=True if empty_first is False else None,
        )
        return by_status[self.status]().order_by(order, "-pk")

    def query(self, **changes: str | int) -> str:
        """What an address says for this with ``changes``; the default of each part is left out."""
        wanted = replace(self, **{name: value for name, value in changes.items() if name in _IN_ADDRESS})  # type: ignore[arg-type]
        parts: dict[str, str | int] = {name: getattr(wanted, name) for name in _IN_ADDRESS}
        return urlencode(
            {name: value for name, value in parts.items() if value != _DEFAULTS[name]}
            | {name: value for name, value in changes.items() if name not in _IN_ADDRESS}
        )

    def direction(self, column: str) -> str:
        """``ascending`` or ``descending`` where the rows are in the order of ``column``, else ""."""
        if self.sort.removeprefix("-") != column:
            return ""
        return "descending" if self.sort.startswith("-") else "ascending"


_IN_ADDRESS = ("status", "environment", "level", "q", "creator", "sort")
_DEFAULTS = {name: getattr(KeyFilters(), name) for name in _IN_ADDRESS}
