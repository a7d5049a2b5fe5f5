"""``/miners``: what the answers hold."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from entities.models import Accrual, HashrateSample, Miner, Payout, Wallet
from tests.factories import MinerFactory, PoolFactory, WorkerFactory

TERAHASH = 10**12


@pytest.fixture
def miner(account):
    return MinerFactory(account=account, name="Copperhead", pool=PoolFactory(account=account))


@pytest.fixture
def workers(miner):
    """One of each status: rig-online, rig-offline, rig-inactive."""
    now = timezone.now()
    silence = {"online": timedelta(minutes=1), "offline": timedelta(hours=1), "inactive": timedelta(days=4)}
    return {
        status: WorkerFactory(miner=miner, name=f"rig-{status}", last_share_at=now - ago, hashrate=TERAHASH)
        for status, ago in silence.items()
    }


def as_written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def test_a_miner_in_a_list_shows_its_names_and_ids(read, miner):
    assert read("miners")["data"] == [
        {
            "id": str(miner.pk),
            "name": "Copperhead",
            "environment": "production",
            "pool": str(miner.pool_id),
            "created_at": as_written(miner.created_at),
        }
    ]


def test_a_miner_on_no_pool_says_null(read, account):
    MinerFactory(account=account)
    assert read("miners")["data"][0]["pool"] is None


def test_a_miners_detail_adds_its_wallets_and_workers(read, miner, workers):
    wallet = Wallet.objects.create(entity=miner, coin="BTC", address="bc1qexample")
    detail = read(f"miners/{miner.pk}")
    assert detail == {
        **read("miners")["data"][0],
        "wallets": [str(wallet.pk)],
        "workers": {"online": 1, "offline": 1, "inactive": 1, "total": 3},
        "minimum_payout": None,
    }


def test_a_key_without_the_workers_permission_is_told_no_counts(issue_key, api, miner, workers):
    _, secret = issue_key("accountant")
    assert api(secret).get(f"/api/v1/miners/{miner.pk}").json()["workers"] is None


def test_an_id_may_be_written_in_capitals(read, miner):
    assert read(f"miners/{str(miner.pk).upper()}")["id"] == str(miner.pk)


def test_an_id_in_an_unusual_form_is_nobodys(read, miner):
    for form in (miner.pk.hex, f"{{{miner.pk}}}", f"urn:uuid:{miner.pk}", f"{miner.pk} "):
        read(f"miners/{form}", status=404)


def test_a_miner_that_was_renamed_shows_its_new_name(read, miner):
    Miner.objects.filter(pk=miner.pk).update(name="Diamondback")
    assert read(f"miners/{miner.pk}")["name"] == "Diamondback"


# Workers


def test_a_worker_shows_its_status_and_hashrate(read, miner):
    worker = WorkerFactory(miner=miner, name="rig-1", hashrate=234 * TERAHASH)
    assert read(f"miners/{miner.pk}/workers")["data"] == [
        {
            "id": str(worker.pk),
            "name": "rig-1",
            "miner": str(miner.pk),
            "group": None,
            "status": "online",
            "behavior": "real",
            "type": "real",
            "hashrate": 234 * TERAHASH,
            "last_share_at": as_written(worker.last_share_at),
        }
    ]


def test_a_worker_that_never_sent_a_share_is_inactive(read, miner):
    WorkerFactory(miner=miner, last_share_at=None)
    worker = read(f"miners/{miner.pk}/workers")["data"][0]
    assert (worker["status"], worker["last_share_at"]) == ("inactive", None)


def test_a_silent_worker_makes_nothing(read, miner, workers):
    rows = read(f"miners/{miner.pk}/workers")["data"]
    assert {row["status"]: row["hashrate"] for row in rows} == {"online": TERAHASH, "offline": 0, "inactive": 0}


@pytest.mark.parametrize("status", ["online", "offline", "inactive"])
def test_workers_are_filtered_by_status(read, miner, workers, status):
    rows = read(f"miners/{miner.pk}/workers?status={status}")["data"]
    assert [row["id"] for row in rows] == [str(workers[status].pk)]
    assert rows[0]["status"] == status


def test_an_unknown_status_is_refused(read, miner):
    assert "status" in read(f"miners/{miner.pk}/workers?status=broken", status=400)["errors"]


def test_another_miners_workers_are_not_listed(read, miner, account):
    WorkerFactory(miner=MinerFactory(account=account))
    assert read(f"miners/{miner.pk}/workers")["data"] == []


@pytest.mark.parametrize("silence", [timedelta(minutes=10), timedelta(days=3)], ids=str)
@pytest.mark.parametrize("beyond", [timedelta(0), timedelta(microseconds=1)], ids=["at", "past"])
def test_the_filter_and_the_status_agree_at_each_threshold(miner, silence, beyond):
    now = timezone.now()
    worker = WorkerFactory(miner=miner, last_share_at=now - silence - beyond)
    assert list(miner.workers.all().in_status(worker.status(now), now)) == [worker]
    assert miner.workers.all().count_by_status(now)[worker.status(now)] == 1


# Hashrate and statistics


@pytest.fixture
def hour():
    return timezone.now().replace(minute=0, second=0, microsecond=0)


def test_hashrate_is_listed_newest_first_in_whole_hashes(read, miner, hour):
    for hours in (2, 0, 1):
        HashrateSample.objects.create(miner=miner, at=hour - timedelta(hours=hours), hashrate=hours * TERAHASH)
    assert read(f"miners/{miner.pk}/hashrate")["data"] == [
        {"at": as_written(hour - timedelta(hours=hours)), "hashrate": hours * TERAHASH} for hours in (0, 1, 2)
    ]


def test_current_hashrate_is_that_of_workers_online(read, miner, workers):
    WorkerFactory(miner=miner, hashrate=2 * TERAHASH)
    assert read(f"miners/{miner.pk}/stats")["hashrate"]["current"] == 3 * TERAHASH


def test_averages_are_over_the_hours_measured_in_each_window(read, miner, hour):
    for hours, hashrate in ((1, 30), (2, 10), (48, 50), (24 * 8, 1000)):
        HashrateSample.objects.create(miner=miner, at=hour - timedelta(hours=hours), hashrate=hashrate)
    stats = read(f"miners/{miner.pk}/stats")
    assert stats["hashrate"] == {"current": 0, "average_24h": 20, "average_7d": 30}
    assert stats["workers"] == {"online": 0, "offline": 0, "inactive": 0, "total": 0}


def test_an_average_over_nothing_measured_is_null(read, miner):
    assert read(f"miners/{miner.pk}/stats")["hashrate"] == {"current": 0, "average_24h": None, "average_7d": None}


def test_sums_beyond_64_bits_are_answered(read, miner, hour):
    largest = 2**63 - 1
    for hours in (1, 2, 3):
        WorkerFactory(miner=miner, hashrate=largest)
        HashrateSample.objects.create(miner=miner, at=hour - timedelta(hours=hours), hashrate=largest)
    hashrate = read(f"miners/{miner.pk}/stats")["hashrate"]
    assert hashrate["current"] == pytest.approx(3 * largest)
    assert hashrate["average_24h"] == pytest.approx(largest)


# Money


def earn(entity, amount, coin="BTC", day=None, client=None, hashrate=None):
    return Accrual.objects.create(
        entity=entity,
        client=client,
        day=day or date(2026, 11, 1),
        coin=coin,
        amount=Decimal(amount),
        hashrate=hashrate,
    )


def pay(entity, amount, coin="BTC", paid_at=None, transaction="tx"):
    wallet, _ = Wallet.objects.get_or_create(entity=entity, coin=coin, defaults={"address": f"{coin}-address"})
    return Payout.objects.create(
        entity=entity,
        wallet=wallet,
        coin=coin,
        amount=Decimal(amount),
        paid_at=paid_at or timezone.now(),
        address=wallet.address,
        transaction=transaction,
    )


def test_a_balance_is_what_was_earned_less_what_was_paid(read, miner):
    earn(miner, "0.30000000")
    earn(miner, "0.00000001", day=date(2026, 11, 2))
    pay(miner, "0.1")
    assert read(f"miners/{miner.pk}/balance") == {
        "data": [{"currency": "BTC", "amount": "0.20000001", "accrued": "0.30000001", "paid": "0.10000000"}]
    }


def test_each_coin_has_a_balance_of_its_own(read, miner):
    earn(miner, "1", "LTC")
    pay(miner, "2", "BTC")
    rows = read(f"miners/{miner.pk}/balance")["data"]
    assert [(row["currency"], row["amount"]) for row in rows] == [("BTC", "-2.00000000"), ("LTC", "1.00000000")]


def test_many_small_amounts_add_up_exactly(read, miner):
    for day in range(1, 29):
        earn(miner, "0.10000001", day=date(2026, 10, day))
    assert read(f"miners/{miner.pk}/balance")["data"][0]["accrued"] == "2.80000028"


def test_accruals_are_listed_newest_day_first(read, miner):
    earn(miner, "0.5", day=date(2026, 11, 1))
    earn(miner, "0.25", day=date(2026, 11, 2))
    assert read(f"miners/{miner.pk}/accruals")["data"] == [
        {"day": "2026-11-02", "currency": "BTC", "amount": "0.25000000"},
        {"day": "2026-11-01", "currency": "BTC", "amount": "0.50000000"},
    ]


def test_a_wallet_without_money_has_a_balance_of_zero(read, miner):
    for coin in ("LTC", "BTC"):
        Wallet.objects.create(entity=miner, coin=coin)
    zero = {"amount": "0.00000000", "accrued": "0.00000000", "paid": "0.00000000"}
    assert read(f"miners/{miner.pk}/balance") == {"data": [{"currency": "BTC", **zero}, {"currency": "LTC", **zero}]}


def test_what_was_ever_earned_does_not_shrink_when_it_is_paid(read, miner):
    Wallet.objects.create(entity=miner, coin="LTC")
    earn(miner, "0.3")
    earn(miner, "0.2", day=date(2026, 11, 2))
    pay(miner, "0.4")
    assert read(f"miners/{miner.pk}/earned-all-time") == {
        "data": [{"currency": "BTC", "amount": "0.50000000"}, {"currency": "LTC", "amount": "0.00000000"}]
    }


def test_another_miners_money_is_not_listed(read, miner, account):
    other = MinerFactory(account=account)
    earn(other, "1")
    pay(other, "1")
    for part in ("balance", "earned-all-time", "accruals", "payments"):
        assert read(f"miners/{miner.pk}/{part}")["data"] == []
