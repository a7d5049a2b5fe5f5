"""The demo's miners, hubs and pools, who serves whom, and the machines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from accounts.environments import Environment
from accounts.models import Account
from apikeys.demo.dice import dice
from apikeys.demo.wallets import address
from entities.models import Entity, HubClient, Kind, Wallet, Worker, WorkerGroup

COIN = "BTC"
MACHINE_HASHRATE = 200_000_000_000_000  # a machine of 200 TH/s
MEMBER_FOR = timedelta(days=200)


@dataclass(frozen=True)
class Site:
    """What an account has in one environment. Miners are ``prefix`` and a number: nf-s21-0001, …"""

    account: str
    environment: Environment
    pool: str
    hubs: tuple[str, ...]
    prefix: str
    miners: int

    def miner(self, number: int) -> str:
        return f"{self.prefix}-{number:04}"

    def names(self) -> list[tuple[Kind, str]]:
        """In the order of their making."""
        return [
            (Kind.POOL, self.pool),
            *((Kind.HUB, name) for name in self.hubs),
            *((Kind.MINER, self.miner(number)) for number in range(1, self.miners + 1)),
        ]


@dataclass(frozen=True)
class Serves:
    """A hub's clients: the miners ``first`` to ``last`` of the site with ``prefix``."""

    hub: str
    prefix: str
    first: int
    last: int
    commission: str
    comment: str = ""


SITES = [
    Site("northfold", Environment.PRODUCTION, "nf-btc-fpps", ("kiruna-1", "reykjanes"), "nf-s21", 24),
    Site("borealis", Environment.PRODUCTION, "bo-btc-pplns", ("tromso-1",), "bo-m60", 16),
    Site("northfold", Environment.STAGING, "nf-btc-staging", ("kiruna-staging",), "nf-stg", 4),
    Site("northfold", Environment.DEVELOPMENT, "nf-btc-dev", (), "nf-dev", 2),
]

# Each account serves a few of the other's miners, from the end of the list; most miners are nobody else's business.
CLIENTS = [
    Serves("kiruna-1", "nf-s21", 9, 14, "0.0150"),
    Serves("kiruna-1", "bo-m60", 15, 16, "0.0250", "Hosted for Borealis"),
    Serves("reykjanes", "nf-s21", 15, 18, "0.0200"),
    Serves("reykjanes", "bo-m60", 14, 14, "0.0275", "Hosted for Borealis, trial until spring"),
    Serves("tromso-1", "bo-m60", 7, 10, "0.0175"),
    Serves("tromso-1", "nf-s21", 23, 24, "0.0300", "Overflow from Kiruna"),
    Serves("kiruna-staging", "nf-stg", 3, 4, "0.0150"),
]

# The first machines of a miner stand in one hall, the rest in another.
GROUPS = {"nf-s21-0001": ("Hall A", "Hall B"), "bo-m60-0001": ("Container 1", "Container 2")}


def make_entities(now: datetime) -> list[Entity]:
    """Make the entities, clients, wallets and workers that are missing; return the demo's entities.

    Workers report as of ``now``.
    """
    with transaction.atomic():
        accounts = Account.objects.in_bulk([site.account for site in SITES], field_name="slug")
        entities: list[Entity] = []
        for site in SITES:
            entities += _make_site(site, accounts[site.account], now)
        _make_clients(entities, now)
        Wallet.objects.bulk_create(
            [
                Wallet(entity=entity, coin=COIN, address=address(dice("wallet", entity.pk).randbytes(20)))
                for entity in entities
                if entity.kind != Kind.POOL
            ],
            ignore_conflicts=True,
        )
        report_shares(entities, now)
        _make_groups(entities)
    return entities


def demo_entities() -> list[Entity]:
    """The demo's entities that exist, in the order of their making."""
    result: list[Entity] = []
    for site in SITES:
        stored = _stored(site)
        result += [stored[name] for name in site.names() if name in stored]
    return result


def report_shares(entities: list[Entity], now: datetime) -> None:
    """Let the machines report as of ``now``, making those that are missing: most online, some offline or inactive."""
    workers = [worker for entity in entities if entity.kind == Kind.MINER for worker in _workers(entity, now)]
    Worker.objects.bulk_create(
        workers,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["miner", "name"],
        update_fields=["hashrate", "hashrate_1d", "hashrate_1w", "last_share_at"],
    )


def _stored(site: Site) -> dict[tuple[str, str], Entity]:
    of_site = Entity.objects.filter(account__slug=site.account, environment=site.environment)
    return {(entity.kind, entity.name): entity for entity in of_site}


def _make_site(site: Site, account: Account, now: datetime) -> list[Entity]:
    stored = _stored(site)
    missing: list[Entity] = []
    for number, (kind, name) in enumerate(site.names()):
        if (kind, name) in stored:
            continue
        entity = Entity(
            account=account,
            environment=site.environment,
            kind=kind,
            name=name,
            pool=None if kind == Kind.POOL else stored[Kind.POOL, site.pool],
            created_at=now - MEMBER_FOR + timedelta(hours=number),
        )
        stored[kind, name] = entity
        missing.append(entity)
    Entity.objects.bulk_create(missing)
    return [stored[name] for name in site.names()]


def _make_clients(entities: list[Entity], now: datetime) -> None:
    by_name = {(entity.kind, entity.name): entity for entity in entities}
    HubClient.objects.bulk_create(
        [
            HubClient(
                hub=by_name[Kind.HUB, row.hub],
                miner=by_name[Kind.MINER, f"{row.prefix}-{number:04}"],
                commission=Decimal(row.commission),
                comment=row.comment,
                joined_at=now - MEMBER_FOR + timedelta(days=number),
            )
            for row in CLIENTS
            for number in range(row.first, row.last + 1)
        ],
        ignore_conflicts=True,
    )


def _make_groups(entities: list[Entity]) -> None:
    """Make the groups that are missing, and fill those: whoever moved a machine since finds it where they put it."""
    for miner in entities:
        for place, name in enumerate(GROUPS.get(miner.name, ())):
            group, made = WorkerGroup.objects.get_or_create(miner=miner, name=name)
            if made:
                workers = list(miner.workers.order_by("name").values_list("pk", flat=True))
                half = workers[: len(workers) // 2] if place == 0 else workers[len(workers) // 2 :]
                Worker.objects.filter(pk__in=half).update(group=group)


def _workers(miner: Entity, now: datetime) -> list[Worker]:
    count = dice("machines", miner.name).randint(2, 12)
    return [_worker(miner, f"{number:02}", now) for number in range(1, count + 1)]


def _worker(miner: Entity, name: str, now: datetime) -> Worker:
    fate = dice("worker", miner.name, name)
    hashrate = int(MACHINE_HASHRATE * fate.uniform(0.94, 1.03))
    chance = fate.random()
    silence: timedelta | None
    if name == "01" or chance < 0.84:  # every miner has one machine that runs
        silence = timedelta(seconds=fate.randint(2, 240))
    elif chance < 0.93:
        silence = timedelta(hours=fate.uniform(0.5, 60))
    elif chance < 0.98:
        silence = timedelta(days=fate.uniform(4, 30))
    else:
        silence = None
    usual = int(hashrate * fate.uniform(0.97, 1))
    return Worker(
        miner=miner,
        name=name,
        hashrate=hashrate if silence is not None and silence <= Worker.ONLINE_WITHIN else 0,
        hashrate_1d=_mean_over(timedelta(days=1), usual, silence),
        hashrate_1w=_mean_over(timedelta(days=7), usual, silence),
        last_share_at=None if silence is None else now - silence,
    )


def _mean_over(window: timedelta, hashrate: int, silence: timedelta | None) -> int:
    """The mean of a ``window`` in which a machine made ``hashrate`` until its silence began; None: it never ran."""
    if silence is None or silence >= window:
        return 0
    return int(hashrate * (1 - silence / window))
