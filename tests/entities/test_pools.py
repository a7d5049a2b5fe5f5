"""``/pools``: what the answers hold."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from entities.models import HashrateSample
from tests.entities.test_miners import as_written
from tests.entities.test_pagination import pages
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


# Charts

NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)


def unix(day, hour=0):
    return int(datetime(2026, 11, day, hour, tzinfo=UTC).timestamp())


@pytest.fixture
def half_past_ten(account):
    with time_machine.travel(NOW, tick=False):
        yield


def measure(miner, hashrate, *, hours, rejected=0):
    newest = NOW.replace(minute=0)
    HashrateSample.objects.bulk_create(
        HashrateSample(miner=miner, at=newest - timedelta(hours=age), hashrate=hashrate, rejected=rejected)
        for age in range(hours)
    )


def test_a_pools_chart_sums_the_miners_that_the_key_reaches(half_past_ten, read, pool, account, other_account):
    own = MinerFactory(account=account, pool=pool)
    client = HubClientFactory(hub__account=account, miner__pool=pool, miner__account=other_account).miner
    elsewhere, foreign = MinerFactory(account=account), MinerFactory(account=other_account, pool=pool)
    measure(own, 100, hours=30)
    measure(client, 170, hours=2, rejected=30)
    measure(elsewhere, 7, hours=5)
    measure(foreign, 7, hours=5)
    chart = read(f"pools/{pool.pk}/charts")
    assert (chart["period"], chart["step"], list(chart["data"])) == ("P1D", "PT1H", [str(pool.pk)])
    points = chart["data"][str(pool.pk)]["points"]
    assert len(points) == 24
    assert points[:3] == [
        {"timestamp": unix(21, 10), "hashrate": 270, "rejectrate": 30},
        {"timestamp": unix(21, 9), "hashrate": 270, "rejectrate": 30},
        {"timestamp": unix(21, 8), "hashrate": 100, "rejectrate": 0},
    ]


def test_a_pools_month_is_the_mean_of_each_days_hourly_sums(half_past_ten, read, pool, account):
    first, second = MinerFactory.create_batch(2, account=account, pool=pool)
    measure(first, 90, hours=24 * 32, rejected=10)
    measure(second, 22, hours=11)  # today's hours alone
    chart = read(f"pools/{pool.pk}/charts?period=P1M")
    points = chart["data"][str(pool.pk)]["points"]
    assert (chart["step"], len(points)) == ("P1D", 30)
    assert points[0] == {"timestamp": unix(21), "hashrate": 112, "rejectrate": 10}
    assert points[1] == {"timestamp": unix(20), "hashrate": 90, "rejectrate": 10}


def test_sums_beyond_64_bits_are_charted(half_past_ten, read, pool, account):
    for miner in MinerFactory.create_batch(2, account=account, pool=pool):
        measure(miner, 2**63 - 1, hours=1)
    [point] = read(f"pools/{pool.pk}/charts")["data"][str(pool.pk)]["points"]
    assert point["hashrate"] == 2**64


def test_a_pool_without_samples_has_an_empty_chart(read, pool):
    assert read(f"pools/{pool.pk}/charts")["data"] == {str(pool.pk): {"points": []}}


def test_an_hour_without_work_rejects_nothing(half_past_ten, read, pool, account):
    measure(MinerFactory(account=account, pool=pool), 0, hours=1)
    [point] = read(f"pools/{pool.pk}/charts")["data"][str(pool.pk)]["points"]
    assert (point["hashrate"], point["rejectrate"]) == (0, 0)


@pytest.mark.parametrize("query", ["period=P1Y", "period=", "period=p1d", "id=x"])
def test_other_charts_are_refused(read, pool, query):
    assert list(read(f"pools/{pool.pk}/charts?{query}", status=400)["errors"]) == [query.split("=")[0]]


# Hubs and miners on it


def test_a_pool_lists_the_hubs_and_miners_that_the_key_reaches_on_it(read, pool, account, other_account):
    own, hub = MinerFactory(account=account, pool=pool), HubFactory(account=account, pool=pool)
    client = HubClientFactory(hub=hub, miner__pool=pool, miner__account=other_account).miner
    for factory in (MinerFactory, HubFactory):
        factory(account=account)
        factory(account=account, pool=PoolFactory(account=account))
        factory(account=other_account, pool=pool)
    HubClientFactory(hub=hub)  # mines elsewhere
    assert {row["id"] for row in read(f"pools/{pool.pk}/miners")["data"]} == {str(own.pk), str(client.pk)}
    assert [row["id"] for row in read(f"pools/{pool.pk}/hubs")["data"]] == [str(hub.pk)]


@pytest.mark.parametrize("noun", ["hubs", "miners"])
def test_a_pools_lists_show_the_rows_of_the_whole_lists(read, pool, account, noun):
    factory = {"hubs": HubFactory, "miners": MinerFactory}[noun]
    factory(account=account, pool=pool)
    assert read(f"pools/{pool.pk}/{noun}") == read(noun)


@pytest.mark.parametrize("scopes", [["*:*"], ["*:pools/*"]])
def test_a_pools_miners_are_walked_filtered_and_ordered(caller, pool, account, other_account, scopes):
    """Own miners and clients in one order, though the database gathers them apart."""
    hub = HubFactory(account=account, pool=pool)
    made = []
    for number in range(5):
        made.append(MinerFactory(account=account, pool=pool, name=f"own {number}"))
        MinerFactory(account=account)
        made.append(HubClientFactory(hub=hub, miner__pool=pool, miner__name=f"client {number}").miner)
    call = caller(*scopes)

    def read(path):
        return call("GET", path).json()

    def names(query):
        return [row["name"] for page in pages(read, f"pools/{pool.pk}/miners{query}", limit=3) for row in page]

    assert names("") == [miner.name for miner in made]
    assert names("?ordering=-name") == sorted((miner.name for miner in made), reverse=True)
    assert names("?search=CLIENT&ordering=name") == [f"client {number}" for number in range(5)]
    assert names("?name=own%203") == ["own 3"]
