"""``/pools``: what the answers hold."""

import pytest

from tests.entities.test_miners import as_written
from tests.factories import HubClientFactory, HubFactory, MinerFactory, PoolFactory, WorkerFactory


@pytest.fixture
def pool(account):
    return PoolFactory(account=account, name="Sunset")


def test_a_pool_shows_its_name_and_id(read, pool):
    shown = {
        "id": str(pool.pk),
        "name": "Sunset",
        "environment": "production",
        "created_at": as_written(pool.created_at),
    }
    assert read("pools")["data"] == [shown]
    assert read(f"pools/{pool.pk}") == shown


def test_a_pools_statistics_count_what_the_key_reaches_of_it(read, pool, account, other_account):
    own = MinerFactory(account=account, pool=pool)
    hub = HubFactory(account=account, pool=pool)
    client = HubClientFactory(hub=hub, miner__pool=pool, miner__account=other_account).miner
    for miner in (own, client, MinerFactory(account=other_account, pool=pool), MinerFactory(account=account)):
        WorkerFactory(miner=miner, hashrate=100)
    HubFactory(account=other_account, pool=pool)
    assert read(f"pools/{pool.pk}/stats") == {
        "hashrate": {"current": 200, "average_24h": None, "average_7d": None},
        "workers": {"online": 2, "offline": 0, "inactive": 0, "total": 2},
        "miners": 2,
        "hubs": 1,
    }
