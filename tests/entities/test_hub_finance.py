"""``/hubs/{id}/finance``: what a hub earned from each client on each day."""

from datetime import date
from decimal import Decimal

import pytest

from entities.models import HubClient, Miner
from tests.entities.test_miners import earn
from tests.entities.test_pagination import pages
from tests.factories import HubClientFactory, HubFactory


@pytest.fixture
def client(hub, other_account):
    return HubClientFactory(hub=hub, miner__account=other_account).miner


def test_a_day_shows_the_commission_and_what_the_client_earned(read, hub, client):
    earn(hub, "0.0001", client=client)
    earn(client, "0.01")
    assert read(f"hubs/{hub.pk}/finance")["data"] == [
        {
            "day": "2026-11-01",
            "client": str(client.pk),
            "currency": "BTC",
            "commission": "0.00010000",
            "earned": "0.01000000",
        }
    ]


def test_what_a_client_earned_on_another_day_or_in_another_coin_is_not_taken(read, hub, client):
    earn(hub, "0.0001", client=client)
    earn(client, "0.01", day=date(2026, 11, 2))
    earn(client, "5", coin="LTC")
    earn(HubClientFactory(hub=hub).miner, "7")
    assert [row["earned"] for row in read(f"hubs/{hub.pk}/finance")["data"]] == [None]


def test_what_a_client_earned_as_a_client_of_its_own_is_not_taken(read, hub, client):
    """An accrual with a client is a hub's commission, never a miner's own earnings."""
    earn(hub, "0.0001", client=client)
    earn(client, "3", client=HubClientFactory(hub=hub).miner)
    assert [row["earned"] for row in read(f"hubs/{hub.pk}/finance")["data"]] == [None]


@pytest.mark.parametrize("end", ["left", "moved to staging"])
def test_a_client_that_left_stays_in_the_books_without_its_earnings(read, hub, client, end):
    earn(hub, "0.0001", client=client)
    earn(client, "0.01")
    if end == "left":
        HubClient.objects.all().delete()
        HubClientFactory(miner=client)  # another hub's client now
    else:
        Miner.objects.filter(pk=client.pk).update(environment="staging")
    [row] = read(f"hubs/{hub.pk}/finance")["data"]
    assert (row["client"], row["commission"], row["earned"]) == (str(client.pk), "0.00010000", None)


def test_what_the_hub_earned_without_a_client_or_another_hub_earned_is_not_listed(read, hub, client, account):
    earn(hub, "1")
    earn(HubFactory(account=account), "2", client=client)
    assert read(f"hubs/{hub.pk}/finance")["data"] == []


def test_days_come_newest_first_and_pages_miss_none(read, hub, client):
    clients = [client, *(HubClientFactory(hub=hub).miner for _ in range(2))]
    for day in (2, 3, 1):
        for each in clients:
            earn(hub, "1", day=date(2026, 11, day), client=each)
    rows = [row for page in pages(read, f"hubs/{hub.pk}/finance", limit=2) for row in page]
    assert [row["day"] for row in rows] == ["2026-11-03"] * 3 + ["2026-11-02"] * 3 + ["2026-11-01"] * 3
    assert len({(row["day"], row["client"]) for row in rows}) == 9


def test_days_coins_and_clients_are_filtered(read, hub, client):
    other = HubClientFactory(hub=hub).miner
    for number, (each, coin) in enumerate([(client, "BTC"), (client, "LTC"), (other, "BTC")], start=1):
        earn(hub, Decimal(number), coin=coin, day=date(2026, 11, number), client=each)

    def commissions(query):
        return [int(Decimal(row["commission"])) for row in read(f"hubs/{hub.pk}/finance?{query}")["data"]]

    assert commissions("") == [3, 2, 1]
    assert commissions("since=2026-11-02") == [3, 2]
    assert commissions("until=2026-11-02") == [2, 1]
    assert commissions("since=2026-11-02&until=2026-11-02") == [2]
    assert commissions("currency=BTC") == [3, 1]
    assert commissions(f"client={client.pk}") == [2, 1]


@pytest.mark.parametrize("query", ["since=1.11.2026", "until=x", "client=x", "coin=BTC", "limit=0", "currency=a%00b"])
def test_bad_filters_name_themselves(read, hub, query):
    assert list(read(f"hubs/{hub.pk}/finance?{query}", status=400)["errors"]) == [query.split("=")[0]]


def test_an_accountant_does_not_see_it(caller, hub):
    assert caller("*:*", level="accountant")("GET", f"hubs/{hub.pk}/finance").status_code == 403
