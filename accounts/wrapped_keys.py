"""Keys that lie in the database wrapped: under ``PITHEAD_MASTER_KEYS``, and never derived from SECRET_KEY.

MultiFernet: the first master key wraps, all of them unwrap. A stolen database without them holds nothing that verifies
or forges anything.
"""

from __future__ import annotations

import secrets
from functools import lru_cache

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.core.signals import setting_changed

from accounts.models import WrappedKey

KEY_BYTES = 32


def wrap(raw: bytes) -> bytes:
    return _master_keys().encrypt(raw)


@lru_cache(maxsize=4096)
def unwrap(wrapped: bytes) -> bytes:
    """Unwrap a key. Cached: it is a pure function of the row that was just read.

    Raises cryptography.fernet.InvalidToken when no master key fits.
    """
    return _master_keys().decrypt(wrapped)


def key_named(name: str) -> bytes:
    """Return the installation's own key of this name, 256 random bits; the first to ask makes it."""
    row, _made = WrappedKey.objects.get_or_create(
        name=name, defaults={"wrapped": lambda: wrap(secrets.token_bytes(KEY_BYTES))}
    )
    return unwrap(bytes(row.wrapped))


def find_key_named(name: str) -> bytes | None:
    """Return the installation's own key of this name if it was made already; reading alone makes none.

    Raises as unwrap() does.
    """
    row = WrappedKey.objects.filter(name=name).first()
    return unwrap(bytes(row.wrapped)) if row is not None else None


@lru_cache(maxsize=1)
def _master_keys() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.PITHEAD_MASTER_KEYS])


def _forget_master_keys(*, setting: str, **kwargs: object) -> None:
    if setting == "PITHEAD_MASTER_KEYS":
        _master_keys.cache_clear()
        unwrap.cache_clear()


setting_changed.connect(_forget_master_keys)
