"""Registered secrets: strings that support handed out before there was Pithead, to find and to verify.

Nobody knows how well they were made, so they lie under Argon2id, which takes its time. That a string is right for a row
never changes, so it is remembered for a while under an HMAC; whether the row still opens anything is read from the
database on each request, as for every key.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from threading import BoundedSemaphore
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.core.cache.backends.locmem import LocMemCache
from django.db import transaction
from django.db.models import QuerySet

from accounts.models import WrappedKey
from accounts.wrapped_keys import find_key_named, key_named
from apikeys import grants, rate_limits
from apikeys.grants import StoredSecret
from apikeys.key_format import ForeignText
from apikeys.models import ApiKeySecret

KEY_NAME = "support-lookup"
#: 24 bits of an HMAC of the whole string find its row. Fewer than tell strings apart, on purpose: whoever stole the
#: database with the master keys still has to ask Argon2 about one guess in 16 million.
LOOKUP_BYTES = 3
HINT_LENGTH = 4
#: Argon2id takes 100 MiB and some 100 ms: so many at once in one process, and nobody waits longer than this for a turn.
AT_ONCE = 2
WAIT_SECONDS = 5.0

_turns = BoundedSemaphore(AT_ONCE)
_own = LocMemCache("registered", {"OPTIONS": {"MAX_ENTRIES": 10_000}})
_known_key: bytes | None = None


class Busy(Exception):
    """Too many strings wait to be verified: ask again in a moment."""


def find(foreign: ForeignText) -> StoredSecret | None:
    """Return the registered secret that ``foreign`` is, whatever became of its key, or None.

    One SELECT. A string that is none costs nothing more; one that is costs an Argon2 verification, unless it was
    verified within ``PITHEAD_SUPPORT_KEY_SECONDS``. Raises Busy.
    """
    key = _read_key()
    if key is None:
        return None  # none was ever registered
    for stored in grants.load_registered(_lookup(key, foreign)):
        mark = _mark(key, stored, foreign)
        if _is_remembered(stored, mark) or _verify(stored, foreign, mark):
            return stored
    return None


def columns_of(foreign: ForeignText) -> dict[str, bytes | str]:
    """What is stored of ``foreign``: columns of `ApiKeySecret`. In the caller's transaction, which hold() began."""
    return {
        "lookup": _lookup(key_named(KEY_NAME), foreign),
        "argon2": make_password(foreign.text, hasher="argon2"),
        "hint": foreign.text[:HINT_LENGTH],
    }


def hold() -> None:
    """Let nobody else register a string until the transaction ends: each is registered once."""
    key_named(KEY_NAME)
    WrappedKey.objects.select_for_update().get(name=KEY_NAME)


def forget(secrets: QuerySet[ApiKeySecret]) -> None:
    """Once the transaction is committed, remember none of ``secrets`` as verified. They are read now."""
    found = list(secrets.filter(lookup__isnull=False).values_list("pk", flat=True))
    if found:
        transaction.on_commit(lambda: _forget(found))


def start_anew() -> None:
    """Forget what this process remembers, as a new one does."""
    global _known_key, _turns
    _known_key, _turns = None, BoundedSemaphore(AT_ONCE)
    _own.clear()


def _read_key() -> bytes | None:
    """The key of all lookups: it never changes, and each process reads it once. What a transaction made may go."""
    global _known_key
    if _known_key is None:
        key = find_key_named(KEY_NAME)
        if key is None or transaction.get_connection().in_atomic_block:
            return key
        _known_key = key
    return _known_key


def _lookup(key: bytes, foreign: ForeignText) -> bytes:
    return hmac.digest(key, b"lookup:" + foreign.text.encode("ascii"), sha256)[:LOOKUP_BYTES]


def _mark(key: bytes, stored: StoredSecret, foreign: ForeignText) -> bytes:
    """What is remembered of a string that was verified: it says of which row, and nothing without the key."""
    return hmac.digest(key, f"verified:{stored.argon2}:{foreign.text}".encode("ascii"), sha256)


def _verify(stored: StoredSecret, foreign: ForeignText, mark: bytes) -> bool:
    if not _turns.acquire(timeout=WAIT_SECONDS):
        raise Busy
    try:
        if _is_remembered(stored, mark):  # by whom this one waited for
            return True
        try:
            right = check_password(foreign.text, stored.argon2)
        except ValueError:  # a damaged row opens nothing
            right = False
        if right:
            _remember(stored, mark)
        return right
    finally:
        _turns.release()


# Remembering: in Redis, or while there is none in this process


def _is_remembered(stored: StoredSecret, mark: bytes) -> bool:
    name = _name(stored.grant.secret_pk)
    remembered = _kept(lambda redis: redis.get(name), lambda own: own.get(name))
    return remembered is not None and hmac.compare_digest(bytes(remembered), mark)


def _remember(stored: StoredSecret, mark: bytes) -> None:
    name, seconds = _name(stored.grant.secret_pk), settings.PITHEAD_SUPPORT_KEY_SECONDS
    _kept(lambda redis: redis.set(name, mark, ex=seconds), lambda own: own.set(name, mark, seconds))


def _forget(secret_pks: list[int]) -> None:
    names = [_name(pk) for pk in secret_pks]
    _own.delete_many(names)
    _kept(lambda redis: redis.delete(*names), lambda own: None)


def _kept(in_redis: Callable[[Any], Any], in_own: Callable[[LocMemCache], Any]) -> Any:
    limits = rate_limits.redis_and_breaker()
    if limits is not None and not limits.broken:
        try:
            return in_redis(limits.shared.client)
        except limits.shared.errors as error:
            limits.stop_asking(error)
    return in_own(_own)


def _name(secret_pk: int) -> str:
    return f"pithead:support:{secret_pk}"
