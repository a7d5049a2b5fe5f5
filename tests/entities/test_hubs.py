"""``/hubs``: what the answers hold."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from entities.models import HashrateSample, HubClient, Miner
from tests.entities.test_miners import as_written, earn, pay
from tests.factories import HubClientFactory, HubFactory, MinerFactory, WorkerFactory


@pytest.fixture
def hub(account):
    return HubFactory(account=account, name="Eastgate")


@pytest.fixture
def client(hub, other_account):
    miner = MinerFactory(account=other_account, name="Sidewinder")
    return HubClientFactory(hub=hub, miner=miner, commission=Decimal("0.025"), comment="since spring")


def test_a_hub_shows_how_many_clients_it_serves(read, hub, client, account):
    HubClientFactory(hub=HubFactory(account=account))
    HubClientFactory(hub=hub)
    shown = {
        "id": str(hub.pk),
        "name": "Eastgate",
        "environment": "production",
        "pool": None,
        "created_at": as_written(hub.created_at),
        "clients": 2,
    }
    assert read("hubs")["data"][0] == shown
    assert read(f"hubs/{hub.pk}") == {**shown, "minimum_payout": None}


def test_a_hub_without_clients_counts_none(read, hub):
    assert read(f"hubs/{hub.pk}")["clients"] == 0


def test_a_client_shows_its_miner_and_commission(read, hub, client):
    assert read(f"hubs/{hub.pk}/clients")["data"] == [
        {
            "miner": {"id": str(client.miner_id), "name": "Sidewinder"},
            "commission": "0.0250",
            "comment": "since spring",
            "joined_at": as_written(client.joined_at),
        }
    ]


def test_clients_are_listed_as_they_joined(read, hub):
    now = timezone.now()
    for days in (2, 3, 1):
        HubClientFactory(hub=hub, miner__name=f"{days} days ago", joined_at=now - timedelta(days=days))
    names = [row["miner"]["name"] for row in read(f"hubs/{hub.pk}/clients")["data"]]
    assert names == ["3 days ago", "2 days ago", "1 days ago"]


def test_a_client_that_left_is_listed_nowhere(read, hub, client):
    WorkerFactory(miner=client.miner)
    HubClient.objects.filter(pk=client.pk).delete()
    assert read(f"hubs/{hub.pk}/clients")["data"] == read(f"hubs/{hub.pk}/workers")["data"] == []
    assert read(f"hubs/{hub.pk}/stats")["workers"]["total"] == 0


def test_a_client_that_moved_to_another_environment_is_listed_nowhere(read, hub, client):
    WorkerFactory(miner=client.miner)
    Miner.objects.filter(pk=client.miner_id).update(environment="staging")
    assert read(f"hubs/{hub.pk}/clients")["data"] == read(f"hubs/{hub.pk}/workers")["data"] == []


def test_a_hubs_workers_are_its_clients_workers(read, hub, client, account):
    worker = WorkerFactory(miner=client.miner)
    WorkerFactory(miner=MinerFactory(account=account))
    rows = read(f"hubs/{hub.pk}/workers")["data"]
    assert [(row["id"], row["miner"]) for row in rows] == [(str(worker.pk), str(client.miner_id))]


def test_a_hubs_workers_are_filtered_by_status(read, hub, client):
    WorkerFactory(miner=client.miner, last_share_at=None)
    assert read(f"hubs/{hub.pk}/workers?status=online")["data"] == []
    assert len(read(f"hubs/{hub.pk}/workers?status=inactive")["data"]) == 1


def test_a_hubs_statistics_are_over_its_clients(read, hub, client):
    second = HubClientFactory(hub=hub).miner
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    for miner in (client.miner, second):
        WorkerFactory(miner=miner, hashrate=100)
        for hours in (1, 2):
            HashrateSample.objects.create(miner=miner, at=hour - timedelta(hours=hours), hashrate=90)
    assert read(f"hubs/{hub.pk}/stats") == {
        "hashrate": {"current": 200, "average_24h": 180, "average_7d": 180},
        "workers": {"online": 2, "offline": 0, "inactive": 0, "total": 2},
    }


def test_a_hubs_accruals_name_the_client(read, hub, client):
    earn(hub, "0.01", client=client.miner)
    [row] = read(f"hubs/{hub.pk}/accruals")["data"]
    assert (row["amount"], row["client"]) == ("0.01000000", str(client.miner_id))


def test_accruals_of_a_client_that_left_stay_in_the_books(read, hub, client):
    earn(hub, "0.01", client=client.miner)
    HubClient.objects.filter(pk=client.pk).delete()
    assert len(read(f"hubs/{hub.pk}/accruals")["data"]) == 1


def test_a_hubs_payments_are_its_own(read, hub, client):
    paid = pay(hub, "0.5")
    pay(client.miner, "0.7")
    assert [row["id"] for row in read(f"hubs/{hub.pk}/payments")["data"]] == [str(paid.pk)]
