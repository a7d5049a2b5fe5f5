"""What was done to a key, from the audit trail, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils.dateparse import parse_datetime
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.access_levels import AccessLevel
from accounts.models import AuditEvent
from accounts.templatetags.pithead import moment
from apikeys import lifecycle, scopes
from apikeys.models import ApiKey
from apikeys.scopes import InvalidScope, Scope

SHOWN = 50

#: action -> its icon, and what was done
DEEDS: dict[str, tuple[str, str | Promise]] = {
    "key.issued": ("plus", gettext_lazy("Created")),
    "key.edited": ("pencil", gettext_lazy("Edited")),
    "key.rotated": ("refresh", gettext_lazy("Rotated")),
    "key.overlap_ended": ("clock", gettext_lazy("Overlap ended, the old secret stopped")),
    "key.regenerated": ("refresh", gettext_lazy("Secret replaced, the one before stopped")),
    "key.disabled": ("ban", gettext_lazy("Switched off")),
    "key.enabled": ("power", gettext_lazy("Switched on")),
    "key.revoked": ("trash", gettext_lazy("Revoked")),
    "role.changed": ("adjustments", gettext_lazy("Custom role changed")),
}

FIELDS: dict[str, str | Promise] = {
    "name": gettext_lazy("Name"),
    "description": gettext_lazy("Description"),
    "expires_at": gettext_lazy("Expiry"),
    "allowed_cidrs": gettext_lazy("Allowed addresses"),
    "rate_limit": gettext_lazy("Rate limit"),
    "rate_burst": gettext_lazy("Burst"),
    "access_level": gettext_lazy("Access level"),
    "scopes": gettext_lazy("Scope"),
}


@dataclass(frozen=True)
class Change:
    """One field of an edit, as it reads before and after."""

    field: str
    before: str
    after: str


@dataclass(frozen=True)
class Deed:
    icon: str
    words: str
    note: str
    changes: Sequence[Change]
    actor: str
    at: datetime


def history(key: ApiKey) -> list[Deed]:
    """What was done to the key, and to what its custom role gives, newest first."""
    own = Q(target_type="apikey", target_id=key.key_id)
    of_role = Q(target_type="role", target_id=str(key.role_id), action="role.changed", at__gte=key.created_at)
    events = AuditEvent.objects.filter(own | of_role if key.role_id else own)[:SHOWN]
    return [_deed(event) for event in events]


def _deed(event: AuditEvent) -> Deed:
    icon, words = DEEDS.get(event.action, ("info-circle", event.action))
    changes: Mapping[str, Sequence[Any]] = event.data.get("changes", {}) if event.action == "key.edited" else {}
    return Deed(
        icon=icon,
        words=str(words),
        note=_note(event),
        changes=[
            Change(str(FIELDS.get(name, name)), _value(name, before), _value(name, after))
            for name, (before, after) in changes.items()
        ],
        actor=_("API key %(name)s") % {"name": event.actor_name} if event.via == "api" else event.actor_name,
        at=event.at,
    )


def _note(event: AuditEvent) -> str:
    if event.action == "key.rotated":
        return format_html(_("Both secrets until {}"), _moment(event.data.get("old_secret_until")))
    if event.action == "key.revoked":
        reason = str(lifecycle.REVOKE_REASONS.get(event.data.get("reason", ""), ""))
        return ": ".join(filter(None, [reason, event.data.get("note", "")]))
    return ""


def _value(name: str, value: Any) -> str:
    """A field's value as people read it; the audit trail holds it as JSON does."""
    if name == "expires_at":
        return _moment(value) if value else _("no expiry")
    if name == "allowed_cidrs":
        return ", ".join(value) or _("any address")
    if name == "rate_limit":
        if value is None:
            return _("the account’s default")
        return ngettext("%(number)s a minute", "%(number)s a minute", value) % {"number": number_format(value)}
    if name == "rate_burst":
        if value is None:
            return _("a whole minute’s")
        return ngettext("%(number)s at once", "%(number)s at once", value) % {"number": number_format(value)}
    if name == "access_level":
        return AccessLevel(value).label if value in list(AccessLevel) else str(value)
    if name == "scopes":
        return _scopes(value)
    return _("“%(text)s”") % {"text": value} if value else _("nothing")


def _scopes(value: Mapping[str, Any]) -> str:
    texts, count = value["scopes"], value["scope_count"]
    try:
        rows = [Scope.parse(text) for text in texts]
    except InvalidScope:  # written by a version that had scopes of other kinds
        return ", ".join(texts)
    if count > len(rows):
        return ngettext("%(number)s entry", "%(number)s entries", count) % {"number": number_format(count)}
    return scopes.describe(rows)


def _moment(value: str | None) -> str:
    at = parse_datetime(value or "")
    return moment(at) if at else ""
