from __future__ import annotations

from django import template

from accounts import switcher
from accounts.models import Membership

register = template.Library()


@register.simple_tag
def page_in(membership: Membership, section: str = "") -> str:
    """The address of the same section in another account."""
    return switcher.page_in(membership, section)
