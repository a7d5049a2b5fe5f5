"""Everything that can happen to a key: the only writers of keys, for every face.

Each function runs in one transaction with its audit rows, checks the actor's right afresh, asks for the step-up
proof of exactly its own action, and tells the account's owners by mail. ``note`` is what the actor says of the reason,
for the audit trail.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import audit
from accounts.changes import Refused, lock_account, note_for_audit
from accounts.models import Account, KeyPermission
from apikeys import edits, key_format, notifications, registered, rules, signing
from apikeys.edits import Changes
from apikeys.models import ApiKey, ApiKeySecret, KeyScope, Role
from apikeys.scopes import Scope

ISSUE, EDIT, ENABLE, REGENERATE = "key.issue", "key.edit", "key.enable", "key.regenerate"
ROTATE, END_OVERLAP, REVOKE, DELETE = "key.rotate", "key.end_overlap", "key.revoke", "key.delete"
DEFAULT_OVERLAP = timedelta(hours=24)

REVOKE_REASONS = {
    "replaced": gettext_lazy("Replaced by another key"),
    "unneeded": gettext_lazy("No longer needed"),
    "leaked": gettext_lazy("Leaked or suspected leak"),
    "left": gettext_lazy("Person or partner left"),
    "other": gettext_lazy("Other"),
}


class AlreadyIssued(Exception):
    """The same form or request made this key before; its secret was shown then and is not known any more."""

    def __init__(self, key: ApiKey) -> None:
        super().__init__(key.key_id)
        self.key = key


def issue(
    account: Account,
    *,
    actor: audit.Actor,
    name: str,
    environment: str,
    access_level: str,
    scopes: Iterable[Scope],
    description: str = "",
    role: Role | None = None,
    expires_at: datetime | None = None,
    allowed_cidrs: Sequence[str] = (),
    rate_limit: int | None = None,
    rate_burst: int | None = None,
    idempotency_key: str | None = None,
) -> tuple[ApiKey, str]:
    """Make a key and return it beside its secret, which exists nowhere else from then on.

    ``role`` is the account's custom role where ``access_level`` is "custom", and None where it is one of the four.
    ``rate_limit`` is in requests per minute; None follows the account's default. ``rate_burst`` of them may come at
    once; None is a whole minute's.

    Raises Refused, scopes.InvalidScope, AlreadyIssued, signing.NotBootstrapped, StepUpMissing.
    """
    rules.require_step_up(actor, ISSUE)
    with transaction.atomic():
        # The account's row orders parallel issues: limits hold, and one idempotency key makes one key.
        account = lock_account(account.pk)
        rules.require(actor, account, KeyPermission.CREATE)
        if idempotency_key:
            earlier = ApiKey.objects.filter(account=account, idempotency_key=idempotency_key).first()
            if earlier is not None:
                raise AlreadyIssued(earlier)
        new = rules.check_new(
            account,
            actor=actor,
            name=name,
            description=description,
            environment=environment,
            access_level=access_level,
            scopes=scopes,
            role=role,
            expires_at=expires_at,
            allowed_cidrs=allowed_cidrs,
            rate_limit=rate_limit,
            rate_burst=rate_burst,
        )
        key = write_key(account, new, actor=actor, idempotency_key=idempotency_key)
        secret = add_secret(key)
        audit.record(
            "key.issued",
            actor=actor,
            account=account,
            target=key,
            environment=environment,
            access_level=access_level,
            **({"role": role.name} if role else {}),
            **edits.scopes_for_audit(new.scopes),
            expires_at=expires_at.isoformat() if expires_at else None,
            allowed_cidrs=key.allowed_cidrs,
            rate_limit=rate_limit,
            rate_burst=rate_burst,
        )
        notifications.tell(key, "issued", actor)
    return key, secret


def write_key(account: Account, new: rules.NewKey, *, actor: audit.Actor, **columns: Any) -> ApiKey:
    """Write the rows of a key that was judged already, without a secret: for issue() and `support_keys`."""
    key = ApiKey.every.create(
        account=account,
        name=new.name,
        description=new.description,
        environment=new.environment,
        access_level=new.access_level,
        role=new.role,
        expires_at=new.expires_at,
        allowed_cidrs=new.allowed_cidrs,
        rate_limit=new.rate_limit,
        rate_burst=new.rate_burst,
        created_by=actor.user,
        created_by_name=actor.name,
        **columns,
    )
    KeyScope.objects.bulk_create(
        [KeyScope(key=key, action=row.action, kind=row.kind, entity_id=row.entity_id) for row in new.scopes],
        batch_size=1000,
    )
    return key


def edit(key: ApiKey, changes: Changes, *, actor: audit.Actor, note: str = "") -> ApiKey:
    """Write what of ``changes`` differs from ``key``; nothing that differs is no error.

    Whatever is more than name and description asks for a code, and for all that the key may do: an edit by somebody
    who has less could lengthen its life or open it to other addresses. The environment never changes.

    Raises Refused, scopes.InvalidScope, StepUpMissing.
    """
    with transaction.atomic():
        key = _lock(lock_account(key.account_id), key)
        checked = edits.check(key, changes, actor=actor)
        if not checked.differs:
            return key
        if not checked.only_labels:
            rules.require_step_up(actor, EDIT)
        checked.write()
        audit.record(
            "key.edited", actor=actor, account=key.account, target=key, changes=checked.for_audit(), **_why(note)
        )
        notifications.tell(key, "edited", actor)
    return key


def regenerate(key: ApiKey, *, actor: audit.Actor, note: str = "") -> str:
    """Give ``key`` a new secret and return it; every secret before it stops at once.

    Raises Refused when the key is revoked, or wider than the actor's own access level: whoever gets the secret could
    use it. Raises StepUpMissing.
    """
    rules.require_step_up(actor, REGENERATE)
    with transaction.atomic():
        key = _lock(lock_account(key.account_id), key)
        require_may_take_secret(key, actor)
        if key.status == "without_secret" and not key.support:
            rules.check_key_count(key.account)
        now = timezone.now()
        registered.forget(key.secrets.all())
        key.secrets.live(now).update(retires_at=now)
        secret = add_secret(key)
        audit.record("key.regenerated", actor=actor, account=key.account, target=key, **_why(note))
        notifications.tell(key, "regenerated", actor)
    return secret


def rotate(key: ApiKey, *, actor: audit.Actor, overlap: timedelta = DEFAULT_OVERLAP, note: str = "") -> str:
    """Give ``key`` a second secret and return it; the one before lives on for ``overlap``.

    ``overlap`` is more than nothing and at most `rules.MAX_OVERLAP`; the key's own expiry ends both secrets, whatever
    it is. Raises Refused as regenerate() does, when the key has expired, and while an earlier overlap goes on: a key
    has at most two live secrets. Raises StepUpMissing.
    """
    rules.require_step_up(actor, ROTATE)
    with transaction.atomic():
        key = _lock(lock_account(key.account_id), key)
        require_may_take_secret(key, actor)
        check_rotation(key, overlap)
        now = timezone.now()
        retires_at = now + overlap
        if key.expires_at is not None:
            retires_at = min(retires_at, key.expires_at)
        key.secrets.live(now).update(retires_at=retires_at)
        secret = add_secret(key)
        audit.record(
            "key.rotated",
            actor=actor,
            account=key.account,
            target=key,
            old_secret_until=retires_at.isoformat(),
            **_why(note),
        )
        notifications.tell(key, "rotated", actor)
    return secret


def check_rotation(key: ApiKey, overlap: timedelta) -> None:
    """Raise Refused where ``key`` can't be rotated with ``overlap`` now; forms ask before they spend a code."""
    if not timedelta() < overlap <= rules.MAX_OVERLAP:
        raise Refused(
            _("The overlap is at least one minute and at most %(days)s days.") % {"days": rules.MAX_OVERLAP.days},
            "overlap",
        )
    if key.status == "expired":
        raise Refused(_("This key has expired. Give it a later expiry first, or create a new key."))
    live = key.secrets.live().count()
    if live > 1:
        raise Refused(_("A rotation of this key is under way. End its overlap first."))
    if live == 0:
        raise Refused(_("This key has no secret that works. Replace it instead."))


def end_overlap(key: ApiKey, *, actor: audit.Actor, note: str = "") -> ApiKey:
    """End a rotation now: every secret of ``key`` but the newest stops at once. No overlap is no error.

    Raises Refused when the key is revoked, StepUpMissing.
    """
    rules.require_step_up(actor, END_OVERLAP)
    with transaction.atomic():
        key = _lock(lock_account(key.account_id), key)
        rules.require_for(actor, key, KeyPermission.UPDATE)
        rules.require_not_revoked(key)
        now = timezone.now()
        if key.secrets.live(now).filter(retires_at__isnull=False).update(retires_at=now):
            audit.record("key.overlap_ended", actor=actor, account=key.account, target=key, **_why(note))
            notifications.tell(key, "overlap_ended", actor)
    return key


def disable(key: ApiKey, *, actor: audit.Actor, note: str = "", tell: bool = True) -> ApiKey:
    """Switch ``key`` off: it is refused from the next request on. Asks for no code, since stopping must be quick.

    Already off is no error. Whoever holds a secret of the key may do it. ``tell`` False: the caller mails the owners.
    Raises Refused when the key is revoked.
    """
    with transaction.atomic():
        key = _lock(None, key)
        if actor.key_id != key.key_id:
            rules.require_to_disable(actor, key)
        rules.require_not_revoked(key)
        if key.disabled_at is None:
            key.disabled_at = timezone.now()
            key.save(update_fields=["disabled_at"])
            registered.forget(key.secrets.all())
            audit.record("key.disabled", actor=actor, account=key.account, target=key, **_why(note))
            if tell:
                notifications.tell(key, "disabled", actor)
    return key


def enable(key: ApiKey, *, actor: audit.Actor, note: str = "") -> ApiKey:
    """Switch ``key`` on again. Already on is no error.

    Raises Refused when the key is revoked or the account has all the active keys that it may have, StepUpMissing.
    """
    rules.require_step_up(actor, ENABLE)
    with transaction.atomic():
        key = _lock(lock_account(key.account_id), key)  # the account first: the limit holds beside parallel issues
        rules.require_for(actor, key, KeyPermission.UPDATE)
        rules.require_not_revoked(key)
        if key.disabled_at is not None:
            if not key.support and (key.expires_at is None or key.expires_at > timezone.now()):
                rules.check_key_count(key.account)
            key.disabled_at = None
            key.save(update_fields=["disabled_at"])
            audit.record("key.enabled", actor=actor, account=key.account, target=key, **_why(note))
            notifications.tell(key, "enabled", actor)
    return key


def revoke(key: ApiKey, *, actor: audit.Actor, reason: str, note: str = "", tell: bool = True) -> ApiKey:
    """End ``key`` for good: refused from the next request on, kept for the record.

    ``reason`` is one of REVOKE_REASONS. Already revoked is no error and keeps its first reason.
    A key may always revoke itself: whoever holds a secret that should not be theirs can end it. ``tell`` False: the
    caller mails the owners.
    Raises Refused, StepUpMissing.
    """
    by_itself = actor.key_id == key.key_id
    if not by_itself:
        rules.require_step_up(actor, REVOKE)
    if reason not in REVOKE_REASONS:
        raise Refused(_("Choose a reason."), "reason")
    with transaction.atomic():
        key = _lock(None, key)
        if not by_itself:
            rules.require_for(actor, key, KeyPermission.DELETE)
        if key.revoked_at is None:
            key.revoked_at = timezone.now()
            key.revoked_by_name = actor.name
            key.revoke_reason = reason
            key.revoke_note = note.strip()[:200]
            key.save(update_fields=["revoked_at", "revoked_by_name", "revoke_reason", "revoke_note"])
            registered.forget(key.secrets.all())
            audit.record(
                "key.revoked",
                actor=actor,
                account=key.account,
                target=key,
                reason=reason,
                note=key.revoke_note,
            )
            if tell:
                notifications.tell(key, "revoked", actor)
    return key


def delete(key: ApiKey, *, actor: audit.Actor) -> None:
    """Remove a revoked key's row, its secrets, scopes and usage; the audit trail stays.

    Already deleted is no error. Raises Refused where the account's policy does not allow it or the key is not revoked
    yet (stopping a key is revoke()'s, which keeps the reason), StepUpMissing.
    """
    actor.require_step_up(DELETE)
    with transaction.atomic():
        account = lock_account(key.account_id)
        rules.require(actor, account, KeyPermission.DELETE)
        locked = ApiKey.every.select_for_update(of=("self",)).filter(pk=key.pk).first()
        if locked is None:
            return
        check_deletable(account, locked)
        audit.record(
            "key.deleted",
            actor=actor,
            account=account,
            target=locked,
            environment=locked.environment,
            access_level=locked.access_level,
            revoked_at=locked.revoked_at.isoformat() if locked.revoked_at else None,
        )
        notifications.tell(locked, "deleted", actor)
        locked.delete()


def check_deletable(account: Account, key: ApiKey) -> None:
    """Raise Refused where ``key`` may not be deleted; pages ask before they offer it."""
    if not account.permanent_delete:
        raise Refused(_("The policy of this account keeps revoked keys for the record."))
    if key.revoked_at is None:
        raise Refused(_("Revoke the key first: only a revoked key can be deleted."))


def _why(note: str) -> dict[str, str]:
    return note_for_audit(note)


def _lock(account: Account | None, key: ApiKey) -> ApiKey:
    """Read ``key`` afresh and hold it; ``account`` is its account, already held, where that is needed as well."""
    locked = ApiKey.every.select_for_update(of=("self",)).select_related("account", "role").get(pk=key.pk)
    if account is not None:
        locked.account = account
    return locked


def require_may_take_secret(key: ApiKey, actor: audit.Actor) -> None:
    """Raise Refused where ``actor`` may not be given a secret of ``key``; faces ask before they spend a code."""
    giver = rules.require_for(actor, key, KeyPermission.UPDATE)
    rules.require_not_revoked(key)
    rules.check_ceiling(key.permissions, giver, "access_level")


def add_secret(key: ApiKey) -> str:
    """Give ``key`` a fresh secret in our format and return it, in the caller's transaction.

    Raises signing.NotBootstrapped.
    """
    signing_key = signing.current_signing_key(key.account)
    if signing_key is None:
        raise signing.NotBootstrapped
    fresh = key_format.generate(key.environment, prefix=settings.PITHEAD_KEY_PREFIX)
    ApiKeySecret.objects.create(
        key=key,
        signing_key=signing_key,
        selector=fresh.selector,
        digest=signing.digest(bytes(signing_key.wrapped), fresh.text),
    )
    return fresh.text
