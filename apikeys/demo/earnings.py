"""The demo's hashrate and money: hourly samples, daily accruals and payouts of the last seven days.

A miner's accrual is what is left after its hubs' commissions; a hub's is exactly commission × the client's gross.
What an earlier run wrote stays as it is; the hours and days since are added.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from math import gcd, lcm, pi, sin
from uuid import UUID

from django.db import transaction
from django.db.models import Sum

from apikeys.demo.dice import dice
from apikeys.demo.pool import COIN
from entities.models import Accrual, Entity, HashrateSample, HubClient, Kind, Payout, Wallet, Worker

DAYS = 7
SATOSHI = Decimal("0.00000001")
SATOSHI_PER_TERAHASH_DAY = 52
TERAHASH = 10**12
COMMISSION_PARTS = 10_000  # HubClient.commission has four decimals
PAYOUT_EVERY_DAYS = 3
PAYOUT_AT = time(6, 0, tzinfo=UTC)


def make_earnings(entities: list[Entity], now: datetime) -> None:
    """Bring samples, accruals and payouts of ``entities`` up to ``now``."""
    miners = [entity for entity in entities if entity.kind == Kind.MINER]
    with transaction.atomic():
        hashrates = _hashrates(miners)
        _make_samples(miners, hashrates, now)
        _make_accruals(miners, hashrates, now.date())
        _make_payouts([entity for entity in entities if entity.kind != Kind.POOL], now)


def _hashrates(miners: list[Entity]) -> dict[UUID, int]:
    """What the machines of each miner do now, in hashes per second."""
    rows = Worker.objects.filter(miner__in=miners).values_list("miner").annotate(Sum("hashrate"))
    return dict(rows)


def _make_samples(miners: list[Entity], hashrates: dict[UUID, int], now: datetime) -> None:
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    hours = [this_hour - timedelta(hours=back) for back in range(DAYS * 24)]
    known = set(HashrateSample.objects.filter(miner__in=miners, at__gte=hours[-1]).values_list("miner", "at"))
    HashrateSample.objects.bulk_create(
        [
            _sample(miner, hashrates.get(miner.pk, 0), at)
            for miner in miners
            for at in hours
            if (miner.pk, at) not in known
        ],
        batch_size=2000,
        ignore_conflicts=True,
    )


def _sample(miner: Entity, hashrate: int, at: datetime) -> HashrateSample:
    accepted = _hashrate_at(miner, hashrate, at)
    rejected = int(accepted * dice("rejected", miner.name, at).uniform(0.005, 0.015))
    return HashrateSample(miner=miner, at=at, hashrate=accepted, rejected=rejected)


def _hashrate_at(miner: Entity, hashrate: int, at: datetime) -> int:
    """Machines run a little faster in the cold of the night, and never quite evenly."""
    warmth = sin((at.hour - 9) / 24 * 2 * pi)
    return int(hashrate * (1 - 0.015 * warmth) * dice("hour", miner.name, at).uniform(0.975, 1.01))


def _mean_hashrate(miner: Entity, hashrate: int, day: date) -> int:
    """The mean of the day's hourly samples."""
    midnight = datetime.combine(day, time.min, UTC)
    return sum(_hashrate_at(miner, hashrate, midnight + timedelta(hours=hour)) for hour in range(24)) // 24


def _make_accruals(miners: list[Entity], hashrates: dict[UUID, int], today: date) -> None:
    days = [today - timedelta(days=back) for back in range(DAYS, 0, -1)]
    own = Accrual.objects.filter(entity__in=miners, client=None, coin=COIN, day__in=days)
    known = set(own.values_list("entity", "day"))
    served_by: dict[UUID, list[HubClient]] = defaultdict(list)
    for client in HubClient.objects.filter(miner__in=miners):
        served_by[client.miner_id].append(client)
    rows: list[Accrual] = []
    for day in days:
        for miner in miners:
            if (miner.pk, day) not in known:
                clients = [client for client in served_by[miner.pk] if client.joined_at.date() <= day]
                rows += _accruals(miner, clients, day, hashrates.get(miner.pk, 0))
    Accrual.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)


def _accruals(miner: Entity, clients: list[HubClient], day: date, hashrate: int) -> list[Accrual]:
    """One day of ``miner``: its own row and one for each of its hubs."""
    parts = {client.hub_id: int(client.commission * COMMISSION_PARTS) for client in clients}
    # Whole multiples of this give every hub a whole number of satoshi: nothing is rounded, so sums add up.
    unit = lcm(*(COMMISSION_PARTS // gcd(COMMISSION_PARTS, part) for part in parts.values()))
    luck = dice("day", day).uniform(0.97, 1.03) * dice("day", day, miner.name).uniform(0.96, 1)
    gross = int(hashrate / TERAHASH * SATOSHI_PER_TERAHASH_DAY * luck) // unit * unit
    shares = {hub: gross * part // COMMISSION_PARTS for hub, part in parts.items()}
    of_day = {"day": day, "coin": COIN, "hashrate": _mean_hashrate(miner, hashrate, day)}
    return [
        Accrual(entity=miner, amount=(gross - sum(shares.values())) * SATOSHI, **of_day),
        *(Accrual(entity_id=hub, client=miner, amount=share * SATOSHI, **of_day) for hub, share in shares.items()),
    ]


def _make_payouts(entities: list[Entity], now: datetime) -> None:
    """Every third morning pays all that had accrued by the end of the day before yesterday."""
    wallets = {wallet.entity_id: wallet for wallet in Wallet.objects.filter(entity__in=entities, coin=COIN)}
    accrued: dict[UUID, list[tuple[date, Decimal]]] = defaultdict(list)
    for entity_id, day, amount in Accrual.objects.filter(entity__in=entities, coin=COIN).values_list(
        "entity", "day", "amount"
    ):
        accrued[entity_id].append((day, amount))
    paid: dict[UUID, Decimal] = defaultdict(Decimal)
    for entity_id, amount in Payout.objects.filter(entity__in=entities, coin=COIN).values_list("entity", "amount"):
        paid[entity_id] += amount
    payouts: list[Payout] = []
    for paid_at in _payout_times(now):
        settled_before = paid_at.date() - timedelta(days=1)
        for entity in entities:
            due = _sum(amount for day, amount in accrued[entity.pk] if day < settled_before) - paid[entity.pk]
            if due > 0:
                paid[entity.pk] += due
                wallet = wallets[entity.pk]
                payouts.append(
                    Payout(
                        entity=entity,
                        wallet=wallet,
                        paid_at=paid_at,
                        coin=COIN,
                        amount=due,
                        address=wallet.address,
                        transaction=sha256(f"{entity.pk} {paid_at} {due}".encode()).hexdigest(),
                    )
                )
    Payout.objects.bulk_create(payouts, batch_size=500)


def _payout_times(now: datetime) -> list[datetime]:
    """The payout mornings of the last days, oldest first."""
    days = [now.date() - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    times = [datetime.combine(day, PAYOUT_AT) for day in days if day.toordinal() % PAYOUT_EVERY_DAYS == 0]
    return [paid_at for paid_at in times if paid_at <= now]


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))
