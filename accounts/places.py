"""A place in an account: what somebody is there, what may be given, and what its owners are told of it.

Members have one, and invitations offer one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import audit
from accounts.access_levels import AccessLevel
from accounts.changes import Refused
from accounts.models import KEY_COLUMNS, Invitation, KeyPermission, Membership
from accounts.notices import notify_members

#: What happens to a member -> the kind of the owners' notice, and its sentence. That somebody becomes an owner reaches
#: every owner: nobody does so behind the others' backs.
TOLD = {
    "joined": ("members", gettext_lazy("{name} joined {account}")),
    "changed": ("members", gettext_lazy("What {name} may do in {account} was changed")),
    "left": ("members", gettext_lazy("{name} left {account}")),
    "removed": ("members", gettext_lazy("{name} was removed from {account}")),
    "now_owner": ("owners", gettext_lazy("{name} is now an owner of {account}")),
}


@dataclass(frozen=True)
class Place:
    """What somebody is in an account: how far they see, and what they may do with its keys."""

    access_level: str
    is_owner: bool = False
    key_permissions: frozenset[KeyPermission] = frozenset()

    @classmethod
    def of(cls, row: Membership | Invitation) -> Place:
        return cls(row.access_level, row.is_owner, row.key_permissions)

    @property
    def columns(self) -> dict[str, Any]:
        held = {column: permission in self.key_permissions for permission, column in KEY_COLUMNS.items()}
        return {"access_level": self.access_level, "is_owner": self.is_owner, **held}

    @property
    def for_audit(self) -> dict[str, Any]:
        return {
            "access_level": self.access_level,
            "is_owner": self.is_owner,
            "key_permissions": [permission.value for permission in KeyPermission if permission in self.key_permissions],
        }


def check_place(place: Place) -> None:
    """Judge what an owner gives to somebody. An owner has everything, so nothing here can be more than they have.

    Raises Refused.
    """
    if place.access_level not in {level.value for level in AccessLevel}:
        raise Refused(_("Choose an access level."), "access_level")
    if place.is_owner and place.access_level != AccessLevel.ADMINISTRATOR:
        raise Refused(_("An owner is always an Administrator."), "access_level")
    if not place.is_owner and place.key_permissions and KeyPermission.VIEW not in place.key_permissions:
        raise Refused(_("Whoever works with API keys has to see them: tick “See API keys” as well."), "key_permissions")


def tell_owners(membership: Membership, what: str, actor: audit.Actor) -> None:
    """Mail the account's owners what happened to a member: a row of TOLD."""
    kind, sentence = TOLD[what]
    told = format_lazy(sentence, name=str(membership.user), account=membership.account.name)
    context = {"person": membership.user, "told": told, "gone": what in ("left", "removed")}
    notify_members(membership.account, kind, told, "members_changed", actor=actor, **context)
