"""Reads the chains of audit events back, and finds the first link of each that does not hold."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cryptography.fernet import InvalidToken
from django.db.models import Exists, OuterRef

from accounts.audit_chain import KEY_NAME, NOTHING, POOL, chain_of, digest_of
from accounts.models import Account, AuditChain, AuditEvent
from accounts.wrapped_keys import find_key_named

BATCH_EVENTS = 1000

#: What is wrong with a link, by a word that scripts can look for.
ALTERED, REMOVED, INSERTED, REORDERED = "altered", "removed", "inserted", "reordered"
MOVED, CUT_OFF, HEAD, REWRITTEN = "moved", "cut off", "head", "rewritten"

#: The digests that a chain had once, by number: kept elsewhere by ``verify_audit --heads``.
Known = Mapping[int, bytes]


class NoKey(Exception):
    """The key of the chains can't be read; ``str()`` says why."""


@dataclass(frozen=True)
class Break:
    """The first link of a chain that does not hold; of the event that stands there, if one does."""

    number: int
    what: str
    why: str
    at: datetime | None = None
    action: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a check of one chain found: ``events`` hold from the first on, and ``head`` is the digest of the last."""

    chain: str
    account: Account | None
    events: int
    head: bytes
    broken: Break | None = None

    @property
    def name(self) -> str:
        """What people call the chain: the account's slug, or its ID once the account is gone."""
        return self.account.slug if self.account else self.chain


def key() -> bytes:
    """The key of the chains. Raises NoKey; never makes one, as recording does."""
    try:
        found = find_key_named(KEY_NAME)
    except InvalidToken:
        raise NoKey(
            "The key of the audit trail does not open: PITHEAD_MASTER_KEYS lacks the master key that it was wrapped "
            "under, or its row was altered."
        ) from None
    if found is None:
        raise NoKey(
            "The key of the audit trail is gone from the database: nothing that was written under it can be told."
        )
    return found


def chains() -> Iterator[str]:
    """The name of every chain that has a head or events, in order."""
    headless = AuditEvent.objects.filter(~Exists(AuditChain.objects.filter(pk=OuterRef("chain"))))
    yield from headless.order_by("chain").values_list("chain", flat=True).distinct()
    yield from AuditChain.objects.order_by("name").values_list("name", flat=True).iterator()


def check(
    chain: str, key: bytes, *, known: Known | None = None, on_batch: Callable[[int], None] = lambda events: None
) -> Verdict:
    """Check one chain from its first event to its head; ``known`` are digests that it must contain.

    Reads BATCH_EVENTS at a time, and what is recorded meanwhile as well. ``on_batch`` gets how many were read.
    """
    known = known or {}
    head = _head(chain)
    number, before = 0, NOTHING
    broken: Break | None = None
    for event in _events(chain, on_batch):
        if head.length <= number:
            head = _head(chain)  # recorded since; an event and its head are committed together
        broken = _wrong(event, number + 1, before, head, key, known)
        if broken is not None:
            break
        number, before = event.number, bytes(event.digest)
    broken = broken or _wrong_end(number, before, head, known)
    return Verdict(chain, _account(chain), number, before, broken)


def holds(event: AuditEvent, key: bytes) -> bool:
    """Whether ``event`` follows from the one before it: its own link alone."""
    if event.number == 1:
        before = NOTHING
    else:
        earlier = AuditEvent.objects.filter(chain=event.chain, number=event.number - 1)
        before = bytes(earlier.values_list("digest", flat=True).first() or b"")
    return _fits(event, before, key) and chain_of(event.account_id) == event.chain


def _head(chain: str) -> AuditChain:
    return AuditChain.objects.filter(pk=chain).first() or AuditChain(name="")


def _account(chain: str) -> Account | None:
    try:
        return Account.objects.filter(pk=UUID(chain)).first() if chain != POOL else None
    except ValueError:  # no chain of ours
        return None


def _events(
    chain: str, on_batch: Callable[[int], None] = lambda events: None, *, after: int = -1
) -> Iterator[AuditEvent]:
    # Batches by number rather than a cursor, which would copy the whole chain aside first.
    events = AuditEvent.objects.filter(chain=chain).order_by("number")
    while True:
        batch = events.filter(number__gt=after)[:BATCH_EVENTS]
        try:
            rows = list(batch)
        except (ValueError, TypeError):  # SQLite lets a row hold what no column takes: find out which
            rows = [_readable(chain, number) for number in batch.values_list("number", flat=True)]
        if not rows:
            return
        yield from rows
        after = rows[-1].number
        on_batch(len(rows))


def _readable(chain: str, number: int) -> AuditEvent:
    try:
        return AuditEvent.objects.get(chain=chain, number=number)
    except (ValueError, TypeError):
        return AuditEvent(chain=chain, number=number, at=None, digest=b"")  # type: ignore[misc]


def _wrong(event: AuditEvent, number: int, before: bytes, head: AuditChain, key: bytes, known: Known) -> Break | None:
    """What is wrong with ``event`` in the place of ``number`` after ``before``, if anything."""

    def broken(what: str, why: str) -> Break:
        return Break(number, what, why, event.at, event.action)

    if event.number > number:
        missing = f"event {number} is" if event.number == number + 1 else f"events {number} to {event.number - 1} are"
        return Break(number, REMOVED, f"{missing} missing; the next is event {event.number}".capitalize() + ".")
    if event.number < number:
        return broken(INSERTED, f"There is no place for an event {event.number}.")
    if not _fits(event, before, key):
        return broken(*_why_unfit(event, before, head, key))
    if number > head.length:
        return broken(HEAD, f"The head of the chain was set back to {head.length} events, or is gone.")
    if chain_of(event.account_id) != event.chain:
        return broken(MOVED, "The event was moved to another account's trail.")
    if known.get(number, bytes(event.digest)) != bytes(event.digest):
        return broken(REWRITTEN, "The event is another one than when the heads were kept: all since was written anew.")
    return None


def _wrong_end(number: int, digest: bytes, head: AuditChain, known: Known) -> Break | None:
    if head.length > number:
        missing = head.length - number
        return Break(
            number + 1, CUT_OFF, f"The chain had {missing} more {'event' if missing == 1 else 'events'} at its end."
        )
    if bytes(head.digest) != digest:
        return Break(number, HEAD, "The head of the chain names another digest than its last event has.")
    if known and max(known) > number:
        return Break(
            number + 1,
            CUT_OFF,
            f"The chain had {max(known)} events when the heads were kept: its end was cut off, head and all.",
        )
    return None


def _why_unfit(event: AuditEvent, before: bytes, head: AuditChain, key: bytes) -> tuple[str, str]:
    """Tell how ``event`` came not to fit, by where it and its neighbours would."""
    number = event.number
    if number > head.length:
        return INSERTED, f"The chain ends at event {head.length}, and this one was added without the key."
    following = next(_events(event.chain, after=number), None)
    if following is None or _fits(following, bytes(event.digest), key):
        return ALTERED, "The event is not what was recorded."
    put_between = _fits(following, before, key, number=number)
    digest_before = bytes(event.digest)
    for row in _events(event.chain, after=number):
        if _original_place(event, row, digest_before, key):
            return REORDERED, f"The event was recorded as event {row.number}."
        if put_between:
            return INSERTED, "The next event follows from the one before this: this one was put between them."
        digest_before = bytes(row.digest)
    return ALTERED, "The event and its digest are not what was recorded, or events before it were taken out."


def _original_place(event: AuditEvent, row: AuditEvent, digest_before: bytes, key: bytes) -> bool:
    """Whether ``event`` was recorded where ``row`` stands now, after the row before it or (a swap of two) after it."""
    return any(_fits(event, before, key, number=row.number) for before in (digest_before, bytes(row.digest)))


def _fits(event: AuditEvent, before: bytes, key: bytes, *, number: int | None = None) -> bool:
    try:
        return hmac.compare_digest(digest_of(event, before, key, number=number), bytes(event.digest))
    except (ValueError, TypeError, AttributeError):  # what SQLite lets a row hold: no address, no time, no JSON
        return False
