"""A constant number of queries: one for the key, a few for the answer, none for a row."""

from datetime import date, timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from entities.models import HashrateSample, Wallet
from tests.entities.test_miners import earn, pay
from tests.factories import (
    HubClientFactory,
    HubFactory,
    HubInvitationFactory,
    MinerFactory,
    PoolFactory,
    WalletFactory,
    WorkerFactory,
    WorkerGroupFactory,
)

AUTHENTICATION = 1
QUERIES = {
    "miners": 1,
    "miners/charts": 2,
    "miners/charts?period=P1M": 2,
    "miners/{miner}": 3,
    "miners/{miner}/workers": 2,
    "miners/{miner}/groups": 2,
    "miners/{miner}/wallets": 2,
    "miners/{miner}/hashrate": 2,
    "miners/{miner}/stats": 3,
    "miners/{miner}/balance": 4,
    "miners/{miner}/earned-all-time": 4,
    "miners/{miner}/accruals": 2,
    "miners/{miner}/payments": 3,
    "workers/{worker}": 2,
    "workers/stats?id={worker}": 2,
    "workers/random-name": 1,
    "workers/groups/{group}": 2,
    "wallets/{wallet}": 2,
    "hubs": 1,
    "hubs/{hub}": 1,
    "hubs/{hub}/clients": 2,
    "hubs/{hub}/workers": 2,
    "hubs/{hub}/stats": 3,
    "hubs/{hub}/accruals": 2,
    "hubs/{hub}/payments": 3,
    "hubs/{hub}/finance": 2,
    "hubs/{hub}/invitations": 2,
    "miners/{miner}/hubs": 2,
    "miners/{miner}/invitations": 2,
    "pools": 1,
    "pools/{pool}": 1,
    "pools/{pool}/stats": 5,
    "pools/{pool}/charts": 2,
    "pools/{pool}/charts?period=P1M": 2,
    "pools/{pool}/hubs": 2,
    "pools/{pool}/miners": 2,
}

#: Once for all samples: a test that goes on past the full hour would make one twice.
HOUR = timezone.now().replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def world(account):
    """A miner, a hub and a pool, and what grows around them."""
    pool = PoolFactory(account=account)
    miner, hub = MinerFactory(account=account, pool=pool), HubFactory(account=account, pool=pool)

    def grow(rows):
        for _ in range(rows):
            client = HubClientFactory(hub=hub, miner__pool=pool).miner
            for each in (miner, client):
                WorkerFactory(miner=each, group=WorkerGroupFactory(miner=each))
                age = timedelta(hours=each.hashrate_samples.count())
                HashrateSample.objects.create(miner=each, at=HOUR - age, hashrate=1)
            for each in (miner, hub):
                Wallet.objects.create(entity=each, coin=uuid4().hex[:8], address="address")
                pay(each, "1", transaction=uuid4().hex)
                earn(each, "1", coin=uuid4().hex[:8], day=date(2026, 11, 1), client=client if each == hub else None)
            HubClientFactory(miner=miner)
            for invitation in ({"hub": hub}, {"miner_id": miner.pk}):
                HubInvitationFactory(**invitation)
            MinerFactory(account=account, pool=pool)
            HubFactory(account=account, pool=pool)
            PoolFactory(account=account)

    group = WorkerGroupFactory(miner=miner)
    parts = {"worker": WorkerFactory(miner=miner, group=group), "group": group, "wallet": WalletFactory(entity=miner)}
    return {name: row.pk for name, row in {"miner": miner, "hub": hub, "pool": pool, **parts}.items()}, grow


@pytest.mark.parametrize(("path", "queries"), QUERIES.items())
@pytest.mark.parametrize("scopes", [["*:*"], ["*:hubs/{hub}", "*:pools/*", "read:miners/{miner}"]], ids=["all", "some"])
def test_the_number_of_queries_does_not_grow(world, api, issue_key, django_assert_num_queries, path, queries, scopes):
    ids, grow = world
    grow(1)
    _, secret = issue_key("administrator", [scope.format(**ids) for scope in scopes])
    client = api(secret)
    url = f"/api/v1/{path.format(**ids)}"
    for rows in (0, 6):
        grow(rows)
        with django_assert_num_queries(AUTHENTICATION + queries):
            answer = client.get(url)
        assert answer.status_code == 200, answer.content
