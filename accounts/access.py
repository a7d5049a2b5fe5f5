"""The lookup is the access check: outsiders learn nothing (404), members who lack the right are told (403)."""

from __future__ import annotations

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils.translation import gettext as _

from accounts.access_levels import AUTOMATION_PERMISSIONS, LEVEL_PERMISSIONS, AccessLevel
from accounts.audit import Actor
from accounts.models import Account, KeyPermission, Membership, User


def membership_for(user: User, slug: str, *permissions: str) -> Membership:
    """Return the person's membership of the account named ``slug``, with its account.

    Read afresh on every request, so that a removed member is out at the next click.

    Raises Http404 when they do not belong to it, PermissionDenied when they lack one of ``permissions``.
    """
    try:
        membership = Membership.objects.select_related("account", "user").get(user=user, account__slug=slug)
    except Membership.DoesNotExist:
        raise Http404 from None
    for required in map(KeyPermission, permissions):
        if required not in membership.key_permissions:
            raise PermissionDenied(
                _("Your role in %(account)s does not include “%(right)s”. Ask an owner of the account for it.")
                % {"account": membership.account, "right": required.label}
            )
    return membership


def owner_membership_for(user: User, slug: str) -> Membership:
    """`membership_for`, for what is the owners' alone. Raises Http404, PermissionDenied."""
    membership = membership_for(user, slug)
    if not membership.is_owner:
        raise PermissionDenied(_("Only an owner of %(account)s may do that.") % {"account": membership.account})
    return membership


def require_right(actor: Actor, account: Account, *permissions: KeyPermission) -> Membership | None:
    """Check that an actor has all ``permissions`` as it stands now, whatever page they come from.

    Return the membership that caps what they may give; None where nothing caps it (staff, commands).
    Raises PermissionDenied: a member may have been removed since their page was rendered.
    """
    if actor.via == "command":
        return None
    if actor.user is not None and actor.user.is_active:
        if actor.via == "admin" and actor.user.is_staff:
            return None
        if actor.via == "web":
            membership = Membership.objects.filter(account=account, user=actor.user).first()
            if membership is not None and membership.key_permissions.issuperset(permissions):
                return membership
    raise PermissionDenied(_("You may not do that in this account (any more)."))


def require_owner(actor: Actor, account: Account) -> Membership | None:
    """Check that an actor is an owner of ``account`` as it stands now; None for staff and commands.

    Raises PermissionDenied.
    """
    membership = require_right(actor, account)
    if membership is not None and not membership.is_owner:
        raise PermissionDenied(_("Only an owner of the account may do that."))
    return membership


def require_staff(actor: Actor) -> None:
    """Check that an actor is one of the pool's staff in the admin, or a command. Raises PermissionDenied."""
    is_staff = actor.via == "admin" and actor.user is not None and actor.user.is_active and actor.user.is_staff
    if actor.via != "command" and not is_staff:
        raise PermissionDenied(_("Only the pool’s staff may do that."))


def is_staff_still(user: User, permission: str) -> bool:
    """Whether somebody, as the database has it now, is of the staff and has ``permission``. One query."""
    return ModelBackend().with_perm(permission).filter(pk=user.pk, is_staff=True).exists()


def givable(membership: Membership) -> frozenset[str]:
    """What a member may give to a key or a role: nobody gives more than they have.

    Keys that manage keys are the owner's to give; only staff, who have no membership, give what is staff's.
    """
    own = LEVEL_PERMISSIONS[AccessLevel(membership.access_level)]
    return own | AUTOMATION_PERMISSIONS if membership.is_owner else own
