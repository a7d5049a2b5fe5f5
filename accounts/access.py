"""The lookup is the access check: outsiders learn nothing (404), members who lack the right are told (403)."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404

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
                f"Your role in {membership.account} does not include “{required.label}”. "
                "Ask an owner of the account for it."
            )
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
    raise PermissionDenied("You may not do that in this account (any more).")


def givable(membership: Membership) -> frozenset[str]:
    """What a member may give to a key or a role: nobody gives more than they have.

    Keys that manage keys are the owner's to give; only staff, who have no membership, give what is staff's.
    """
    own = LEVEL_PERMISSIONS[AccessLevel(membership.access_level)]
    return own | AUTOMATION_PERMISSIONS if membership.is_owner else own
