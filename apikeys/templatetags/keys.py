"""Template filters of the key pages."""

from __future__ import annotations

from datetime import UTC, date, datetime

from django import template
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.access_levels import AccessLevel
from accounts.templatetags.pithead import day_words
from apikeys import lifecycle, scopes
from apikeys.models import ApiKey

register = template.Library()


@register.filter
def scope_summary(key: ApiKey) -> str:
    """The key's scope rows in a line of words."""
    return scopes.describe_keys([key])[key.pk]


@register.filter
def revoke_reason(key: ApiKey) -> str:
    """Why a key was revoked: the reason, and the note if there is one."""
    reason = str(lifecycle.REVOKE_REASONS.get(key.revoke_reason, key.revoke_reason))
    return f"{reason}: {key.revoke_note}" if key.revoke_note else reason


@register.filter
def time_left(moment: datetime) -> str:
    """How long until ``moment``: "in 84 days", "in 5 hours"; "expired" when it is past."""
    left = moment - timezone.now()
    if left.total_seconds() <= 0:
        return gettext("expired")
    if left.days >= 1:
        days = round(left.total_seconds() / 86400)
        return ngettext("in %(count)d day", "in %(count)d days", days) % {"count": days}
    hours = int(left.total_seconds() // 3600)
    if hours:
        return ngettext("in %(count)d hour", "in %(count)d hours", hours) % {"count": hours}
    return gettext("in less than an hour")


_STATUSES = {
    "active": _("Active"),
    "disabled": _("Disabled"),
    "expired": _("Expired"),
    "revoked": _("Revoked"),
    "without_secret": _("No secret"),
}


@register.filter
def status_words(status: str) -> str:
    """A key's status, for people."""
    return str(_STATUSES[status])


@register.filter
def ago(at: datetime | None) -> str:
    """How long ago ``at`` was: "12 s ago", "3 min ago", "2 h ago", "6 days ago"; "Never" for None."""
    if not at:
        return gettext("Never")
    seconds = max(0, int((timezone.now() - at).total_seconds()))
    if seconds < 60:
        return gettext("%(number)s s ago") % {"number": seconds}
    if seconds < 3600:
        return gettext("%(number)s min ago") % {"number": seconds // 60}
    if seconds < 86400:
        return gettext("%(number)s h ago") % {"number": seconds // 3600}
    days = seconds // 86400
    return ngettext("%(number)s day ago", "%(number)s days ago", days) % {"number": days}


@register.filter
def utc(at: datetime | None) -> str:
    """``at`` in UTC, short, for a title: "21 Nov 2026, 15:02 UTC"; "" for None."""
    if not at:
        return ""
    universal = at.astimezone(UTC)
    return f"{day_words(universal)}, {universal:%H:%M} UTC"


@register.filter
def bars(level: str) -> int:
    """How many bars stand for an access level, 1 to 4; 0 for a custom role."""
    return list(AccessLevel).index(AccessLevel(level)) + 1 if level in list(AccessLevel) else 0


@register.filter
def day_of_year(at: date) -> str:
    """A day without its year, "18 Feb"."""
    return day_words(at).rsplit(" ", 1)[0]


@register.filter
def plain_day(at: datetime) -> str:
    """The day of ``at`` in the reader's zone, "18 Feb 2027", to stand within a sentence."""
    return day_words(timezone.localtime(at))
