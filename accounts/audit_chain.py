"""The chain of audit events: each event's digest covers the event and the digest before it, per account.

HMAC-SHA-256 under a key that lies wrapped beside it, so that whoever can write to the database, and has no master key,
can't make a chain that holds. Events of no account are the pool's own chain. `accounts.audit_check` reads it back.
"""

from __future__ import annotations

import hmac
import json
from datetime import UTC
from hashlib import sha256
from ipaddress import ip_address
from uuid import UUID

from django.db.models import Subquery

from accounts.models import Account, AuditChain, AuditEvent, WrappedKey
from accounts.wrapped_keys import key_named, unwrap

KEY_NAME = "audit"
#: The chain of events that belong to no account.
POOL = "pool"
#: What the first event of a chain follows.
NOTHING = bytes(32)


def chain_of(account_id: UUID | None) -> str:
    return str(account_id) if account_id is not None else POOL


def hold(*accounts: Account | None) -> None:
    """Take the chains of ``accounts`` until the transaction ends, in one order, so that none waits for the other.

    Only a change that records events of several accounts needs it.
    """
    for name in sorted({chain_of(account.pk if account else None) for account in accounts}):
        _take(name)


def link(event: AuditEvent) -> None:
    """Give an event that is about to be written its place and digest, and move the chain's head on.

    The head's row is held until the transaction ends: events of one account follow each other.
    """
    event.chain = chain_of(event.account_id)
    head, key = _take(event.chain)
    event.number = head.length + 1
    event.digest = digest_of(event, bytes(head.digest), key)
    AuditChain.objects.filter(pk=head.pk).update(length=event.number, digest=event.digest)


def digest_of(event: AuditEvent, before: bytes, key: bytes, *, number: int | None = None) -> bytes:
    """HMAC-SHA-256 over ``before``, the digest of the event before it (NOTHING for the first), and the event.

    ``number`` asks for the digest that the event would have in another place.
    """
    return hmac.digest(key, before + content_of(event, event.number if number is None else number), sha256)


def content_of(event: AuditEvent, number: int) -> bytes:
    """What of an event the digest covers, as canonical JSON: everything but the account, which its chain names.

    The same on every database and Python: times to the microsecond, addresses by their bits, and data that
    `audit.record` brought into a form that comes back as it was.
    """
    return json.dumps(
        {
            "chain": event.chain,
            "number": number,
            "id": str(event.pk),
            "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "account": event.account_name,
            "actor": event.actor_name,
            "actor_id": event.actor_id,
            "via": event.via,
            "address": ip_address(event.address).packed.hex() if event.address is not None else None,
            "action": event.action,
            "target": [event.target_type, event.target_id, event.target_name],
            "data": event.data,
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()


def _take(name: str) -> tuple[AuditChain, bytes]:
    """The chain's head, held, and the key; one query once both exist."""
    wrapped = WrappedKey.objects.filter(name=KEY_NAME).values("wrapped")
    chains = AuditChain.objects.select_for_update(of=("self",)).annotate(wrapped=Subquery(wrapped))
    head = chains.filter(pk=name).first()
    if head is None:
        key_named(KEY_NAME)  # before a chain is held: whoever makes it first makes the others wait
        AuditChain.objects.bulk_create([AuditChain(name=name)], ignore_conflicts=True)
        head = chains.get(pk=name)
    return head, unwrap(bytes(head.wrapped)) if head.wrapped is not None else key_named(KEY_NAME)
