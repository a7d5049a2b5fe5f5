"""Signing keys: made per account, wrapped at rest, and the keyed digests that they make.

256 random bits each, wrapped under ``PITHEAD_MASTER_KEYS`` (MultiFernet: the first master key wraps, all unwrap) and
never derived from SECRET_KEY. A stolen database without the master keys can verify nothing and forge nothing.
"""

from __future__ import annotations

import hmac
import secrets
from functools import lru_cache
from hashlib import sha256

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.core.signals import setting_changed
from django.db import transaction

from accounts import access, audit
from accounts.models import Account, KeyPermission
from apikeys.models import SigningKey

SIGNING_KEY_BYTES = 32
BOOTSTRAP = "account.bootstrap"


class NotBootstrapped(Exception):
    """The account has no signing key yet: its one-time set-up is still to do."""


def bootstrap(account: Account, *, actor: audit.Actor) -> SigningKey:
    """Give ``account`` its first signing key; called again, return the one it has.

    Raises StepUpMissing, PermissionDenied.
    """
    actor.require_step_up(BOOTSTRAP)
    access.require_right(actor, account, KeyPermission.CREATE)
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=account.pk)
        current = current_signing_key(account)
        if current is not None:
            return current
        signing_key = SigningKey.objects.create(
            account=account, version=1, wrapped=_wrap(secrets.token_bytes(SIGNING_KEY_BYTES))
        )
        audit.record("account.bootstrapped", actor=actor, account=account, target=account, version=signing_key.version)
        return signing_key


def current_signing_key(account: Account) -> SigningKey | None:
    """Return the newest signing key that is not retired: the one that new secrets are made under."""
    return SigningKey.objects.filter(account=account, retired_at=None).order_by("-version").first()


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


def _wrap(raw: bytes) -> bytes:
    return _master_keys().encrypt(raw)


@lru_cache(maxsize=4096)
def unwrap(wrapped: bytes) -> bytes:
    """Unwrap a signing key. Cached: it is a pure function of the row that each request reads anew.

    Raises cryptography.fernet.InvalidToken when no master key fits.
    """
    return _master_keys().decrypt(wrapped)


@lru_cache(maxsize=1)
def _master_keys() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.PITHEAD_MASTER_KEYS])


def _forget_master_keys(*, setting: str, **kwargs: object) -> None:
    if setting == "PITHEAD_MASTER_KEYS":
        _master_keys.cache_clear()
        unwrap.cache_clear()


setting_changed.connect(_forget_master_keys)
