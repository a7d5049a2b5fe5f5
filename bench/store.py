"""Fill an empty database with keys in the real format, and print (JSON) the secrets to drive with.

Run by `bench.database` as a process of its own, since Django's settings are one per process.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from apikeys import key_format

if TYPE_CHECKING:
    from apikeys.models import SigningKey

BATCH = 5_000
NEVER_REACHED = 1_000_000  # requests a minute


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--keys", type=int, required=True)
    options.add_argument("--rotate", type=int, required=True)
    options.add_argument("--accounts", type=int, required=True)
    chosen = options.parse_args()
    django.setup()
    call_command("migrate", verbosity=0)
    json.dump(fill(chosen.keys, chosen.rotate, chosen.accounts), sys.stdout)


def fill(keys: int, rotate: int, accounts: int) -> dict[str, list[str]]:
    """Store ``keys`` keys of ``accounts`` accounts and return secrets by row of the result: ``rotate`` of each."""
    every = max(1, keys // rotate)
    signing_keys = make_accounts(accounts)
    presented = [text for position, text in enumerate(store(keys, signing_keys)) if position % every == 0][:rotate]
    return {
        "authenticated": presented,
        "whole pipeline": list(store(rotate, signing_keys, rate_limit=NEVER_REACHED)),
        # The last character of the secret part changed: right shape, wrong checksum.
        "mistyped": [text[:-7] + ("x" if text[-7] != "x" else "y") + text[-6:] for text in presented],
        "unknown selector": [make_key().text for _ in presented],
        "wrong secret": [with_other_secret(text) for text in presented],
    }


def make_accounts(accounts: int) -> list[SigningKey]:
    """Return the signing key of each account."""
    from accounts.audit import Actor
    from accounts.models import Account
    from apikeys import signing

    with transaction.atomic():
        owners = Account.objects.bulk_create(
            Account(name=f"Account {number}", slug=f"account-{number}") for number in range(accounts)
        )
        return [signing.bootstrap(owner, actor=Actor.for_command("bench")) for owner in owners]


def store(keys: int, signing_keys: list[SigningKey], rate_limit: int | None = None) -> Iterator[str]:
    """Bulk-insert and yield each secret. Every second key expires one day; every fourth is bound to addresses."""
    from apikeys import signing
    from apikeys.models import ApiKey, ApiKeySecret, KeyScope

    accounts = len(signing_keys)
    next_year = timezone.now() + timedelta(days=365)
    for first in range(0, keys, BATCH):
        rows, stored, scopes, texts = [], [], [], []
        for number in range(first, min(first + BATCH, keys)):
            signing_key = signing_keys[number % accounts]
            generated = make_key()
            row = ApiKey(
                account_id=signing_key.account_id,
                environment="production",
                name=f"Key {number}",
                access_level="viewer",
                allowed_cidrs=["127.0.0.0/8", "2001:db8::/32"] if number // accounts % 4 == 0 else [],
                expires_at=next_year if number // accounts % 2 == 0 else None,
                rate_limit=rate_limit,
                created_by_name="bench",
            )
            rows.append(row)
            stored.append(
                ApiKeySecret(
                    key=row,
                    signing_key=signing_key,
                    selector=generated.selector,
                    digest=signing.digest(signing_key.wrapped, generated.text),
                )
            )
            scopes.append(KeyScope(key=row, action="*", kind="*"))
            texts.append(generated.text)
        with transaction.atomic():
            ApiKey.objects.bulk_create(rows)
            ApiKeySecret.objects.bulk_create(stored)
            KeyScope.objects.bulk_create(scopes)
        yield from texts
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def make_key() -> key_format.ParsedKey:
    """A key in the real format. Not `key_format.generate`: 55 calls of the system's generator for each are slow."""
    body = "".join(random.choices(key_format.ALPHABET, k=key_format.SELECTOR_LENGTH + key_format.SECRET_LENGTH))
    body = f"{settings.PITHEAD_KEY_PREFIX}_{key_format.ENVIRONMENT_TAGS['production']}_{body}"
    return key_format.parse(body + key_format.checksum(body), prefix=settings.PITHEAD_KEY_PREFIX)


def with_other_secret(text: str) -> str:
    """``text`` with its selector, somebody else's secret and a checksum that fits."""
    head = len(text) - key_format.SECRET_LENGTH - key_format.CHECKSUM_LENGTH
    other = make_key().text
    body = text[:head] + other[head : -key_format.CHECKSUM_LENGTH]
    return body + key_format.checksum(body)


if __name__ == "__main__":
    main()
