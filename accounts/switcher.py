"""From one account of a person to another: the page there that is like the one they are on."""

from __future__ import annotations

from django.urls import reverse

from accounts.models import KeyPermission, Membership

#: The cookie that names the account in which somebody worked last.
LAST_ACCOUNT = "pithead-account"
LAST_ACCOUNT_SECONDS = 180 * 24 * 3600

_KEYS = "web:key-list"
_MEMBERS = "accounts:member-list"
#: Section of the navigation -> its first page, and the right that it takes. A page about one key or role leads to the
#: list of the other account, which has neither.
_SECTIONS: dict[str, tuple[str, KeyPermission | None]] = {
    "api_keys": (_KEYS, KeyPermission.VIEW),
    "members": (_MEMBERS, None),
    "settings": ("web:policies", None),
    "roles": ("web:role-list", KeyPermission.VIEW),
}


def page_in(membership: Membership, section: str) -> str:
    """The address of ``section`` in the account of ``membership``, or of the first page there that they may see."""
    held = membership.key_permissions
    for page, right in (_SECTIONS.get(section, _SECTIONS["api_keys"]), _SECTIONS["api_keys"]):
        if right is None or right in held:
            return reverse(page, args=[membership.account.slug])
    return reverse(_MEMBERS, args=[membership.account.slug])
