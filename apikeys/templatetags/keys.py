"""Template filters of the key pages."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone

from apikeys import lifecycle, scopes
from apikeys.models import ApiKey

register = template.Library()

#: Audit actions in the words of a history.
_DEEDS = {
    "key.issued": ("plus", "Created"),
    "key.regenerated": ("refresh", "Secret replaced"),
    "key.disabled": ("ban", "Switched off"),
    "key.enabled": ("power", "Switched on"),
    "key.revoked": ("trash", "Revoked"),
    "role.changed": ("adjustments", "Custom role changed"),
}


@register.filter
def scope_summary(key: ApiKey) -> str:
    """The key's scope rows in a line of words."""
    return scopes.describe(list(key.scopes.all()))


@register.filter
def revoke_reason(key: ApiKey) -> str:
    """Why a key was revoked: the reason, and the note if there is one."""
    reason = lifecycle.REVOKE_REASONS.get(key.revoke_reason, key.revoke_reason)
    return f"{reason}: {key.revoke_note}" if key.revoke_note else reason


@register.filter
def deed(action: str) -> str:
    return _DEEDS.get(action, ("", action))[1]


@register.filter
def deed_icon(action: str) -> str:
    return _DEEDS.get(action, ("info-circle", ""))[0]


@register.filter
def time_left(moment: datetime) -> str:
    """How long until ``moment``: "in 84 days", "in 5 hours"; "expired" when it is past."""
    left = moment - timezone.now()
    if left.total_seconds() <= 0:
        return "expired"
    if left.days >= 1:
        days = round(left.total_seconds() / 86400)
        return f"in {days} day{'' if days == 1 else 's'}"
    hours = int(left.total_seconds() // 3600)
    if hours:
        return f"in {hours} hour{'' if hours == 1 else 's'}"
    return "in less than an hour"
