"""What staff do to people: another address, staff access, a lost second factor, a way out of every browser.

Only superusers do any of it to staff, and nobody does it to themselves: what people change of their own they change in
their own settings. The pages that call these ask a second factor of whoever uses them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

from accounts import audit, second_factor, sessions
from accounts.changes import Refused
from accounts.locale import language_of
from accounts.models import User
from accounts.notifications import mail_address

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

CHANGE_EMAIL = "user.change_email"
GIVE_ACCESS = "user.give_access"
RESET_SECOND_FACTOR = "user.reset_second_factor"


def may_change(staff: User, person: User) -> bool:
    """Whether ``staff`` may do to ``person`` what this module does: superusers to all others, others to customers."""
    if staff.pk == person.pk:
        return False
    return staff.is_superuser or not (person.is_staff or person.is_superuser)


def change_email(person: User, email: str, *, actor: audit.Actor) -> None:
    """Give ``person`` another address to sign in with, and tell both. Raises audit.StepUpMissing, Refused."""
    actor.require_step_up(CHANGE_EMAIL)
    email = email.lower()
    with transaction.atomic():
        locked = _locked(person, actor)
        before = locked.email
        if email == before:
            return
        if User.objects.filter(email=email).exists():
            raise Refused("A person with this e-mail address exists already.", "email")
        locked.email = email
        locked.save(update_fields=["email"])
        audit.record("user.email_changed", actor=actor, target=locked, changes={"email": {"from": before, "to": email}})
        what = format_lazy(
            gettext_lazy("The pool’s staff changed the e-mail address that you sign in with: {before} → {email}"),
            before=before,
            email=email,
        )
        _tell(locked, gettext_lazy("Your e-mail address was changed"), what, before, email)


def give_access(person: User, *, active: bool, staff: bool, groups: Iterable[Group] = (), actor: audit.Actor) -> None:
    """Say whether ``person`` may sign in, enter the staff admin, and what they may there. Superusers alone do.

    Who may not sign in any more is signed out at once. Raises audit.StepUpMissing, Refused.
    """
    actor.require_step_up(GIVE_ACCESS)
    chosen = sorted(groups, key=lambda group: group.name)
    if chosen and not staff:
        raise Refused("Groups are for staff: tick “Staff” too, or take the groups away.", "groups")
    with transaction.atomic():
        locked = _locked(person, actor)
        if actor.user is not None and not actor.user.is_superuser:
            raise Refused("Only superusers appoint staff.")
        before = {"is_active": locked.is_active, "is_staff": locked.is_staff, "groups": group_names(locked)}
        locked.is_active, locked.is_staff = active, staff
        locked.save(update_fields=["is_active", "is_staff"])
        locked.groups.set(chosen)
        after = {"is_active": active, "is_staff": staff, "groups": group_names(locked)}
        changes = {name: {"from": before[name], "to": after[name]} for name in before if before[name] != after[name]}
        if changes:
            audit.record("user.access_changed", actor=actor, target=locked, changes=changes)
        if not active:
            sessions.end_others(locked, None, actor=actor)


def group_names(person: User) -> list[str]:
    return list(person.groups.order_by("name").values_list("name", flat=True))


def reset_second_factor(person: User, *, reason: str, actor: audit.Actor) -> None:
    """Take every second factor of ``person`` away, who lost theirs, and sign them out; a mail tells them.

    Their next sign-in, with the password, sets another one up. Raises audit.StepUpMissing, Refused.
    """
    actor.require_step_up(RESET_SECOND_FACTOR)
    with transaction.atomic():
        locked = _locked(person, actor)
        removed: dict[str, Any] = second_factor.forget(locked)
        sessions.end_others(locked, None, actor=actor)
        audit.record("second_factor.reset", actor=actor, target=locked, reason=reason, **removed)
        what = gettext_lazy(
            "The pool’s staff removed your second factors: authenticator app, passkeys and recovery codes. "
            "You set up another one when you next sign in"
        )
        _tell(locked, gettext_lazy("Your second factor was reset"), what)


def sign_out(person: User, *, actor: audit.Actor) -> int:
    """Sign ``person`` out of every browser, and return how many these were. Needs no code: stopping must be quick.

    Staff may be stopped too, by whoever may stop anybody.
    """
    return sessions.end_others(person, None, actor=actor)


def _locked(person: User, actor: audit.Actor) -> User:
    """The person's row, held, once it is sure that the actor may change them. Raises Refused."""
    locked = User.objects.select_for_update().get(pk=person.pk)
    if actor.user is not None and not may_change(actor.user, locked):
        raise Refused("Only another superuser changes staff.")
    return locked


def _tell(person: User, subject: _StrPromise, what: _StrPromise, *addresses: str) -> None:
    for address in addresses or (person.email,):
        mail_address(address, subject, "changed_by_staff", language=language_of(person), user=person, what=what)
