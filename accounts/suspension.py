"""Suspending an account: every key of it is refused at the next request, and answers again when it is resumed.

`apikeys.decisions` reads `Account.suspended_at` on each request; nothing of the keys themselves changes.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

from accounts import access, audit
from accounts.changes import Refused, clean_note, lock_account
from accounts.models import Account, AuditEvent
from accounts.notices import notify_members

SUSPEND, RESUME = "account.suspend", "account.resume"
SUSPENDED, RESUMED = "account.suspended", "account.resumed"

_SUBJECTS = {
    SUSPENDED: gettext_lazy("{account} is suspended: API keys stopped"),
    RESUMED: gettext_lazy("{account} is no longer suspended: API keys answer again"),
}


def suspend(account: Account, *, actor: audit.Actor, reason: str) -> Account:
    """Refuse every key of ``account`` from the next request on. Suspended already is no error.

    The owners read ``reason`` in the mail that they get. Raises Refused, StepUpMissing, PermissionDenied.
    """
    return _set(account, timezone.now(), SUSPEND, SUSPENDED, actor=actor, reason=reason)


def resume(account: Account, *, actor: audit.Actor, reason: str) -> Account:
    """Let the keys of ``account`` answer again, as they stand by then. Not suspended is no error.

    Raises as suspend() does.
    """
    return _set(account, None, RESUME, RESUMED, actor=actor, reason=reason)


def latest_change(account: Account) -> AuditEvent | None:
    """The event that suspended or resumed ``account`` last: by whom, when and why."""
    return AuditEvent.objects.filter(account=account, action__in=_SUBJECTS).first()


def _set(
    account: Account, at: datetime | None, step_up: str, event: str, *, actor: audit.Actor, reason: str
) -> Account:
    actor.require_step_up(step_up)
    reason = clean_note(reason)
    if not reason:
        raise Refused("Say why.", "reason")
    with transaction.atomic():
        account = lock_account(account.pk)
        access.require_staff(actor)
        if (account.suspended_at is None) != (at is None):
            account.suspended_at = at
            account.save(update_fields=["suspended_at"])
            audit.record(event, actor=actor, account=account, target=account, reason=reason)
            notify_members(
                account,
                "suspension",
                format_lazy(_SUBJECTS[event], account=account.name),
                "account_suspension",
                actor=actor,
                reason=reason,
                suspended=at is not None,
            )
    return account
