"""Signing keys: made per account, wrapped at rest, and the keyed digests that they make.

256 random bits each, wrapped under ``PITHEAD_MASTER_KEYS`` (MultiFernet: the first master key wraps, all unwrap) and
never derived from SECRET_KEY. A stolen database without the master keys can verify nothing and forge nothing.
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256

from django.db import transaction
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts import access, audit
from accounts.changes import lock_account, note_for_audit
from accounts.models import Account, KeyPermission
from accounts.wrapped_keys import unwrap, wrap
from apikeys import notifications, registered
from apikeys.key_queries import ApiKeyQuerySet
from apikeys.models import ApiKey, ApiKeySecret, SigningKey, SupportKey

SIGNING_KEY_BYTES = 32
BOOTSTRAP, ROTATE, RETIRE = "account.bootstrap", "signing_key.rotate", "signing_key.retire"


class NotBootstrapped(Exception):
    """The account has no signing key yet: its one-time set-up is still to do."""


def bootstrap(account: Account, *, actor: audit.Actor) -> SigningKey:
    """Give ``account`` its first signing key; called again, return the one it has.

    Raises StepUpMissing, PermissionDenied.
    """
    actor.require_step_up(BOOTSTRAP)
    with transaction.atomic():
        account = lock_account(account.pk)
        access.require_right(actor, account, KeyPermission.CREATE)
        current = current_signing_key(account)
        if current is not None:
            return current
        signing_key = _next_version(account)
        audit.record("account.bootstrapped", actor=actor, account=account, target=account, version=signing_key.version)
        return signing_key


def current_signing_key(account: Account) -> SigningKey | None:
    """Return the newest signing key that is not retired: the one that new secrets are made under."""
    return SigningKey.objects.filter(account=account, retired_at=None).order_by("-version").first()


def rotate(account: Account, *, actor: audit.Actor, note: str = "") -> SigningKey:
    """Make a new version, which new secrets are made under; the secrets of the versions before it go on working.

    ``note`` is what the actor says of the reason, here and in retire(), for the audit trail.
    Raises NotBootstrapped, StepUpMissing, PermissionDenied.
    """
    actor.require_step_up(ROTATE)
    with transaction.atomic():
        account = lock_account(account.pk)
        access.require_owner(actor, account)
        if current_signing_key(account) is None:
            raise NotBootstrapped
        made = _next_version(account)
        audit.record(
            "signing_key.rotated",
            actor=actor,
            account=account,
            target=account,
            version=made.version,
            **note_for_audit(note),
        )
        notifications.tell_rotated(made, actor)
    return made


def retire(signing_key: SigningKey, *, actor: audit.Actor, note: str = "") -> int:
    """Stop every secret made under ``signing_key`` at once, for good: the panic button. Return how many lived.

    The keys stay, and can be given new secrets. The current version is replaced by a fresh one: whoever panics trusts
    nothing older either. Retired already is no error, and stops nothing.
    Raises StepUpMissing, PermissionDenied.
    """
    actor.require_step_up(RETIRE)
    with transaction.atomic():
        account = lock_account(signing_key.account_id)
        access.require_owner(actor, account)
        signing_key = SigningKey.objects.select_for_update(of=("self",)).get(pk=signing_key.pk)
        if signing_key.retired_at is not None:
            return 0
        now = timezone.now()
        was_current = current_signing_key(account) == signing_key
        keys_stopped = stops_at_once(signing_key).count()
        signing_key.retired_at = now
        signing_key.save(update_fields=["retired_at"])
        support_stopped = SupportKey.objects.not_revoked().filter(secrets__in=signing_key.secrets.live(now)).count()
        registered.forget(signing_key.secrets.live(now))
        stopped = signing_key.secrets.live(now).update(retires_at=now)
        replacement = _next_version(account) if was_current else None
        audit.record(
            "signing_key.retired",
            actor=actor,
            account=account,
            target=account,
            version=signing_key.version,
            secrets_stopped=stopped,
            keys_stopped=keys_stopped,
            **({"support_keys_stopped": support_stopped} if support_stopped else {}),
            **({"new_version": replacement.version} if replacement else {}),
            **note_for_audit(note),
        )
        notifications.tell_retired(signing_key, actor, stopped=keys_stopped)
    return stopped


def versions(account: Account, *, with_support: bool = False) -> QuerySet[SigningKey]:
    """The account's signing keys, newest first, in one query: each with ``live_secrets`` and ``live_keys``.

    A secret counts while it would be let in but for a switch: not retired, of a key neither revoked nor expired.
    ``with_support`` counts those of support keys as well, here and below: for staff, as owners don't see them.
    """
    now = timezone.now()
    live = Q(secrets__retires_at=None) | Q(secrets__retires_at__gt=now)
    standing = Q(secrets__key__expires_at=None) | Q(secrets__key__expires_at__gt=now)
    counted = live & standing & Q(secrets__key__revoked_at=None, retired_at=None)
    if not with_support:
        counted &= Q(secrets__key__support=False)
    return (
        SigningKey.objects.filter(account=account)
        .annotate(
            live_secrets=Count("secrets", filter=counted),
            live_keys=Count("secrets__key", filter=counted, distinct=True),
        )
        .order_by("-version")
    )


def stops_at_once(signing_key: SigningKey, *, with_support: bool = False) -> ApiKeyQuerySet:
    """The keys whose every secret hangs on ``signing_key``: retiring it leaves them without one. Disabled ones too."""
    under, elsewhere = _halves(signing_key, with_support)
    return under.exclude(elsewhere)


def keeps_working(signing_key: SigningKey, *, with_support: bool = False) -> ApiKeyQuerySet:
    """The keys that lose a secret by retiring ``signing_key`` and have another: a rotation of theirs is under way."""
    under, elsewhere = _halves(signing_key, with_support)
    return under.filter(elsewhere)


def _halves(signing_key: SigningKey, with_support: bool) -> tuple[ApiKeyQuerySet, Exists]:
    now = timezone.now()
    live = ApiKeySecret.objects.live(now).filter(key=OuterRef("pk"))
    standing = Q(expires_at=None) | Q(expires_at__gt=now)
    of_all: ApiKeyQuerySet = ApiKey.every.all() if with_support else ApiKey.objects.all()
    keys = of_all.not_revoked().filter(standing, Exists(live.filter(signing_key=signing_key)))
    return keys, Exists(live.filter(signing_key__retired_at=None).exclude(signing_key=signing_key))


def _next_version(account: Account) -> SigningKey:
    newest = SigningKey.objects.filter(account=account).aggregate(newest=Max("version"))["newest"] or 0
    return SigningKey.objects.create(
        account=account, version=newest + 1, wrapped=wrap(secrets.token_bytes(SIGNING_KEY_BYTES))
    )


def digest(wrapped: bytes, text: str) -> bytes:
    """HMAC-SHA-256 of the whole key ``text`` under the signing key in ``wrapped``; 32 bytes."""
    return hmac.digest(unwrap(bytes(wrapped)), text.encode("ascii"), sha256)


def matches(wrapped: bytes | None, text: str, expected: bytes | None) -> bool:
    """Tell whether ``text`` has the digest ``expected``, in constant time.

    An unknown selector (both None) does the same work as a wrong secret.
    """
    if wrapped is None or expected is None:
        hmac.compare_digest(hmac.digest(_DECOY, text.encode("ascii"), sha256), _DECOY)
        return False
    return hmac.compare_digest(digest(wrapped, text), bytes(expected))


_DECOY = secrets.token_bytes(SIGNING_KEY_BYTES)
