"""An entity's income and payouts as one list, newest first.

Two tables make it, which no query joins: each is cut by its own index to as much as a page can hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from heapq import merge
from itertools import islice
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from entities.models import Accrual, Entity, Payout

REWARD, PAYOUT = "reward", "payout"
TYPES = (REWARD, PAYOUT)


@dataclass(frozen=True)
class Payment:
    """What one day earned, at that day's beginning in UTC, or money that was sent.

    ``amount`` is in whole coins, ``hashrate`` in hashes per second; what a reward has none of is None.
    """

    id: UUID
    type: str
    amount: Decimal
    coin: str
    created_at: datetime
    hashrate: int | None = None
    address: str | None = None
    transaction: str | None = None
    wallet_id: UUID | None = None

    @property
    def position(self) -> tuple[datetime, UUID]:
        """Where it stands in the list; ids tell apart what happened at one moment."""
        return self.created_at, self.id


def list_payments(
    entity: Entity,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    types: Collection[str] = TYPES,
    since: date | None = None,
    until: date | None = None,
    coin: str | None = None,
) -> list[Payment]:
    """Return the first ``limit`` payments beyond the position ``after``, newest first; one query for each type.

    ``since`` and ``until`` are days in UTC, both included.
    """
    parts: list[Iterable[Payment]] = []
    if REWARD in types:
        rewards = _within(Accrual.objects.filter(entity=entity), "day", since, until, coin)
        if after is not None:
            rewards = rewards.filter(_rewards_beyond(*after))
        parts.append(map(_reward, rewards.order_by("-day", "-id")[:limit]))
    if PAYOUT in types:
        payouts = _within(
            Payout.objects.filter(entity=entity),
            "paid_at",
            since and _began(since),
            until and datetime.combine(until, time.max, UTC),
            coin,
        )
        if after is not None:
            moment, last_id = after
            payouts = payouts.filter(Q(paid_at__lte=moment) & (Q(paid_at__lt=moment) | Q(id__lt=last_id)))
        parts.append(map(_payout, payouts.order_by("-paid_at", "-id")[:limit]))
    return list(islice(merge(*parts, key=lambda row: row.position, reverse=True), limit))


def _within(rows: QuerySet[Any], column: str, since: Any, until: Any, coin: str | None) -> QuerySet[Any]:
    asked = {f"{column}__gte": since, f"{column}__lte": until, "coin": coin}
    return rows.filter(**{name: value for name, value in asked.items() if value is not None})


def _rewards_beyond(moment: datetime, last_id: UUID) -> Q:
    """Days that began before ``moment``, and of one that began just then the smaller ids."""
    day = moment.astimezone(UTC).date()
    began_before = Q(day__lte=day)
    return began_before if _began(day) < moment else began_before & (Q(day__lt=day) | Q(id__lt=last_id))


def _began(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _reward(accrual: Accrual) -> Payment:
    return Payment(
        id=accrual.pk,
        type=REWARD,
        amount=accrual.amount,
        coin=accrual.coin,
        created_at=_began(accrual.day),
        hashrate=accrual.hashrate,
    )


def _payout(payout: Payout) -> Payment:
    return Payment(
        id=payout.pk,
        type=PAYOUT,
        amount=payout.amount,
        coin=payout.coin,
        created_at=payout.paid_at,
        address=payout.address,
        transaction=payout.transaction,
        wallet_id=payout.wallet_id,
    )
