"""The members of an account: what place each has in it. The only writers of memberships, but for invitations.

Each writer runs in one transaction with its audit row, holds the account's row, checks the actor's right afresh, and
asks for the step-up proof of exactly its own action.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import access, audit
from accounts.access_levels import AccessLevel
from accounts.changes import Refused, lock_account
from accounts.models import KEY_COLUMNS, Account, Invitation, KeyPermission, Membership, User
from accounts.notices import notify_members
from accounts.notifications import notify

ADD, CHANGE, REMOVE = "member.add", "member.change", "member.remove"

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


def check_new(account: Account, user: User, place: Place) -> None:
    """Judge a new member, writing nothing: forms ask before they spend a code. Raises Refused."""
    check_place(place)
    if not user.is_active:
        raise Refused(_("%(name)s is switched off and can’t sign in.") % {"name": user}, "person")
    if Membership.objects.filter(account=account, user=user).exists():
        raise Refused(_("%(name)s is a member of this account already.") % {"name": user}, "person")


def add(account: Account, user: User, place: Place, *, actor: audit.Actor) -> Membership:
    """Make ``user`` a member at once. Staff alone do so; owners invite, and whom they invite agrees.

    Raises Refused, PermissionDenied, StepUpMissing.
    """
    actor.require_step_up(ADD)
    with transaction.atomic():
        account = lock_account(account.pk)
        access.require_staff(actor)
        check_new(account, user, place)
        membership = Membership.objects.create(account=account, user=user, **place.columns)
        audit.record(
            "member.added", actor=actor, account=account, target=membership, email=user.email, **place.for_audit
        )
        tell_owners(membership, "now_owner" if place.is_owner else "joined", actor)
    return membership


def check_change(membership: Membership, place: Place) -> None:
    """Judge a change of ``membership``, writing nothing: forms ask before they spend a code.

    Raises Refused.
    """
    check_place(place)
    if membership.is_owner and not place.is_owner and (reason := why_last_owner(membership)):
        raise Refused(reason, "is_owner")


def change(membership: Membership, place: Place, *, actor: audit.Actor) -> Membership:
    """Give a member another place. Nothing changed is no error.

    Raises Refused, PermissionDenied, StepUpMissing.
    """
    actor.require_step_up(CHANGE)
    with transaction.atomic():
        account = lock_account(membership.account_id)
        access.require_owner(actor, account)
        membership = _reread(membership)
        check_change(membership, place)
        before = Place.of(membership)
        if before.for_audit == place.for_audit:
            return membership
        for column, value in place.columns.items():
            setattr(membership, column, value)
        membership.save(update_fields=list(place.columns))
        after = place.for_audit
        changes = {name: [old, after[name]] for name, old in before.for_audit.items() if old != after[name]}
        audit.record("member.changed", actor=actor, account=account, target=membership, changes=changes)
        if before.is_owner and not place.is_owner:
            _cancel_invitations_by(membership, actor)
        tell_owners(membership, "now_owner" if place.is_owner and not before.is_owner else "changed", actor)
    return membership


def remove(membership: Membership, *, actor: audit.Actor) -> None:
    """Take somebody out of the account; everybody but the last owner may leave by themselves.

    They are out at their next request, as every page asks for the membership. Their keys stay the account's.

    Raises Refused, PermissionDenied, StepUpMissing.
    """
    actor.require_step_up(REMOVE)
    with transaction.atomic():
        account = lock_account(membership.account_id)
        leaves = actor.user is not None and actor.user.pk == membership.user_id
        if leaves:
            access.require_right(actor, account)
        else:
            access.require_owner(actor, account)
        membership = _reread(membership)
        if reason := why_last_owner(membership):
            raise Refused(reason)
        audit.record(
            "member.left" if leaves else "member.removed",
            actor=actor,
            account=account,
            target=membership,
            email=membership.user.email,
            **Place.of(membership).for_audit,
        )
        _cancel_invitations_by(membership, actor)
        membership.delete()
        tell_owners(membership, "left" if leaves else "removed", actor)
        if not leaves:
            subject = format_lazy(gettext_lazy("You are no longer a member of {account}"), account=account)
            notify(membership.user, subject, "member_removed", account=account, by=actor.name)


def why_last_owner(membership: Membership) -> str:
    """Why somebody can neither go nor stop being an owner; "" when they can."""
    owners = Membership.objects.filter(account=membership.account_id, is_owner=True).select_related("user")
    if not is_last_owner(membership, list(owners)):
        return ""
    return _("%(name)s is the only owner of %(account)s. Make somebody else an owner first.") % _names(membership)


def is_last_owner(membership: Membership, owners: list[Membership]) -> bool:
    """Whether no other of the account's ``owners`` can sign in."""
    others = [owner for owner in owners if owner.pk != membership.pk and owner.user.is_active]
    return membership.is_owner and not others


def of_account(account: Account) -> list[Membership]:
    """The account's members with their people, owners first."""
    rows = Membership.objects.filter(account=account).select_related("account", "user")
    return list(rows.order_by("-is_owner", "user__name", "user__email"))


def tell_owners(membership: Membership, what: str, actor: audit.Actor) -> None:
    """Mail the account's owners what happened to a member: a row of TOLD."""
    kind, sentence = TOLD[what]
    told = format_lazy(sentence, name=str(membership.user), account=membership.account.name)
    context = {"person": membership.user, "told": told, "gone": what in ("left", "removed")}
    notify_members(membership.account, kind, told, "members_changed", actor=actor, **context)


def _cancel_invitations_by(membership: Membership, actor: audit.Actor) -> None:
    """An invitation stands for the owner who sent it: whoever is none any more invites nobody."""
    sent = Invitation.objects.filter(
        account=membership.account_id, invited_by=membership.user_id, accepted_at=None, cancelled_at=None
    )
    for invitation in sent:
        invitation.cancelled_at = timezone.now()
        invitation.save(update_fields=["cancelled_at"])
        audit.record(
            "invitation.cancelled", actor=actor, account=membership.account, target=invitation, email=invitation.email
        )


def _reread(membership: Membership) -> Membership:
    found = Membership.objects.select_related("account", "user").filter(pk=membership.pk).first()
    if found is None:
        raise Refused(_("This person is no longer a member."))
    return found


def _names(membership: Membership) -> dict[str, User | Account]:
    return {"name": membership.user, "account": membership.account}
