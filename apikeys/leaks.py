"""Leaked keys: what is done when somebody hands in a secret that was found where it should not be.

Whoever holds the whole secret could use the key, so they may stop it: nothing more is asked of them. Every way in ends
here: the public page, the scanners of code hosts, and the pool's staff.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import audit
from apikeys import key_format, lifecycle, notifications, registered, signing
from apikeys.grants import load_grant
from apikeys.models import ApiKey, ApiKeySecret
from apikeys.redaction import redact

#: Secrets in one report that are looked up; a dump that holds more is for the pool's staff.
MOST = 100
#: The same for words that may be what support once handed out: each costs a query, and Argon2 only if it is one.
MOST_WORDS = 40
URL_LENGTH = 500

REVOKED, DISABLED, STOPPED_BEFORE = "revoked", "disabled", "stopped before"


@dataclass(frozen=True)
class Hit:
    """A secret of ours that was handed in: whose, and what came of it."""

    key: ApiKey
    done: str
    text: str = field(repr=False)


def hand_in(text: str, *, actor: audit.Actor, source: str, url: str = "", whole: bool = False) -> list[Hit]:
    """Stop every key of which ``text`` holds a right secret that works, and tell its owners where it was found.

    ``source`` says who found it and ``url`` where, as far as they told. ``whole``: ``text`` is a secret and nothing
    around it, so one look-up tells whether support handed it out. The account's policy says whether the key is revoked
    or switched off. A secret that was stopped before is a hit, and changes nothing: reports come twice.
    Raises registered.Busy once all is stopped that takes no Argon2: the same report may come again.
    """
    # An address may hold the secret itself, lines for somebody's mail, or what no mail can be encoded with.
    url = "".join(mark for mark in " ".join(redact(url).split()) if mark.isprintable())[:URL_LENGTH]
    hits = (_stop(secret, its, actor=actor, source=source, url=url) for secret, its in _secrets_in(text, whole))
    return [hit for hit in hits if hit is not None]


def _secrets_in(text: str, whole: bool) -> Iterator[tuple[ApiKeySecret, str]]:
    """The secrets that ``text`` holds, each beside its own text. Raises registered.Busy, after those of our format."""
    prefix = settings.PITHEAD_KEY_PREFIX
    seen: set[str] = set()
    for parsed in key_format.find_all(text, prefix=prefix):
        if parsed.selector in seen:
            continue
        if len(seen) == MOST:
            break
        seen.add(parsed.selector)
        stored = load_grant(parsed.selector)
        if signing.matches(
            stored.wrapped_signing_key if stored else None, parsed.text, stored.digest if stored else None
        ):
            yield from ((secret, parsed.text) for secret in ApiKeySecret.objects.filter(selector=parsed.selector))
    for foreign in islice(key_format.find_foreign(text, prefix=prefix), 1 if whole else MOST_WORDS):
        if (stored := registered.find(foreign)) is not None:
            yield from ((secret, foreign.text) for secret in ApiKeySecret.objects.filter(pk=stored.grant.secret_pk))


@transaction.atomic
def _stop(secret: ApiKeySecret, text: str, *, actor: audit.Actor, source: str, url: str) -> Hit | None:
    keys = ApiKey.every.select_for_update(of=("self",)).select_related("account", "role")
    key = keys.filter(pk=secret.key_id).first()
    if key is None:  # deleted a moment ago
        return None
    now = timezone.now()
    secret.refresh_from_db(fields=["retires_at"])
    works = secret.retires_at is None or secret.retires_at > now
    if key.revoked_at is not None or not works:
        return Hit(key, STOPPED_BEFORE, text)
    only_disable = key.account.leaks_only_disable
    if only_disable and key.disabled_at is not None:
        return Hit(key, STOPPED_BEFORE, text)
    where = {"source": source, "url": url, "secret": str(secret)}
    audit.record("key.leaked", actor=actor, account=key.account, target=key, **where)
    holder = replace(actor, key_id=key.key_id)
    if only_disable:
        key = lifecycle.disable(key, actor=holder, note="Leaked", tell=False)
    else:
        key = lifecycle.revoke(key, actor=holder, reason="leaked", note=f"Found by {source}"[:200], tell=False)
    notifications.tell_leaked(key, actor, url=url, source=source, disabled=only_disable)
    return Hit(key, DISABLED if only_disable else REVOKED, text)
