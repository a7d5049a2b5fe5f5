"""What pages about people show of the keys that they made."""

from __future__ import annotations

from django import template

from accounts.models import Membership
from apikeys.models import ApiKey

register = template.Library()


@register.simple_tag
def active_keys_by(membership: Membership) -> int:
    """How many keys that work this member created in the account."""
    return ApiKey.objects.filter(account=membership.account_id, created_by=membership.user_id).active().count()
