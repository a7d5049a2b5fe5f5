"""``/miners/charts``: the hashrate of several miners over a period."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from entities.models import HashrateSample
from tests.factories import HubClientFactory, HubFactory, MinerFactory

NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def half_past_ten(account):
    with time_machine.travel(NOW, tick=False):
        yield


def measure(miner, days=0, *, hours):
    """One sample an hour, each as large as its age in hours."""
    newest = NOW.replace(minute=0)
    HashrateSample.objects.bulk_create(
        HashrateSample(miner=miner, at=newest - timedelta(days=days, hours=age), hashrate=age, rejected=2 * age)
        for age in range(hours)
    )


def unix(*moment):
    return int(datetime(*moment, tzinfo=UTC).timestamp())


def test_a_day_has_24_hours_newest_first(read, account):
    miner = MinerFactory(account=account)
    measure(miner, hours=30)
    chart = read("miners/charts")
    assert (chart["period"], chart["step"]) == ("P1D", "PT1H")
    assert list(chart["data"]) == [str(miner.pk)]
    points = chart["data"][str(miner.pk)]["points"]
    assert len(points) == 24
    assert points[0] == {"timestamp": unix(2026, 11, 21, 10), "hashrate": 0, "rejectrate": 0}
    assert points[-1] == {"timestamp": unix(2026, 11, 20, 11), "hashrate": 23, "rejectrate": 46}


def test_a_week_has_its_hours(read, account):
    miner = MinerFactory(account=account)
    measure(miner, hours=24 * 8)
    chart = read("miners/charts?period=P1W")
    assert (chart["step"], len(chart["data"][str(miner.pk)]["points"])) == ("PT1H", 24 * 7)


def test_a_month_has_the_means_of_30_days(read, account):
    miner = MinerFactory(account=account)
    measure(miner, hours=24 * 32)
    chart = read("miners/charts?period=P1M")
    points = chart["data"][str(miner.pk)]["points"]
    assert (chart["step"], len(points)) == ("P1D", 30)
    assert points[0] == {"timestamp": unix(2026, 11, 21), "hashrate": 5, "rejectrate": 10}
    # Of 11 to 34 the mean is 22.5, rounded to even.
    assert points[1] == {"timestamp": unix(2026, 11, 20), "hashrate": 22, "rejectrate": 45}
    assert points[-1]["timestamp"] == unix(2026, 10, 23)


def test_a_miner_without_samples_has_an_empty_chart(read, account):
    miner = MinerFactory(account=account)
    assert read("miners/charts")["data"] == {str(miner.pk): {"points": []}}


def test_only_the_asked_miners_are_charted(read, account):
    first, _, third = MinerFactory.create_batch(3, account=account)
    chart = read(f"miners/charts?id={third.pk}&id={first.pk}&id={first.pk}")
    assert list(chart["data"]) == [str(first.pk), str(third.pk)]


def test_a_client_of_an_own_hub_is_charted(read, account):
    client = HubClientFactory(hub=HubFactory(account=account)).miner
    assert list(read("miners/charts")["data"]) == [str(client.pk)]


@pytest.mark.parametrize("wrong", ["01a1fd91-0000-7000-8000-000000000000", "rubbish"])
def test_one_id_that_is_not_there_fails_the_whole_chart(read, account, wrong):
    miner = MinerFactory(account=account)
    assert read(f"miners/charts?id={miner.pk}&id={wrong}", status=404)["code"] == "not_found"


def test_one_id_out_of_reach_fails_the_whole_chart(read, account):
    miner, outside = MinerFactory(account=account), MinerFactory()
    assert read(f"miners/charts?id={miner.pk}&id={outside.pk}", status=404)["code"] == "not_found"


@pytest.mark.parametrize("period", ["P1Y", "p1d", "", "24h"])
def test_other_periods_are_refused(read, period):
    assert "period" in read(f"miners/charts?period={period}", status=400)["errors"]


def test_more_than_a_hundred_miners_must_be_named(read, account):
    miners = MinerFactory.create_batch(101, account=account)
    assert "id" in read("miners/charts", status=400)["errors"]
    assert len(read("miners/charts?" + "&".join(f"id={miner.pk}" for miner in miners[:100]))["data"]) == 100
    assert "id" in read("miners/charts?" + "&".join(f"id={miner.pk}" for miner in miners), status=400)["errors"]
