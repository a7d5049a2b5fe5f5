"""The members of an account: what place each has in it. The only writers of memberships, but for invitations.

Each writer runs in one transaction with its audit row, holds the account's row, checks the actor's right afresh, and
asks for the step-up proof of exactly its own action.
"""

from __future__ import annotations

from django.db import transaction
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import access, audit, invitations
from accounts.changes import Refused, lock_account
from accounts.models import Account, Membership, User
from accounts.notifications import notify
from accounts.places import Place, check_place, tell_owners

ADD, CHANGE, REMOVE = "member.add", "member.change", "member.remove"


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
            invitations.cancel_sent_by(membership, actor=actor)
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
        invitations.cancel_sent_by(membership, actor=actor)
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


def _reread(membership: Membership) -> Membership:
    found = Membership.objects.select_related("account", "user").filter(pk=membership.pk).first()
    if found is None:
        raise Refused(_("This person is no longer a member."))
    return found


def _names(membership: Membership) -> dict[str, User | Account]:
    return {"name": membership.user, "account": membership.account}
