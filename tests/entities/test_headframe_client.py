"""A program written for Headframe's v0.1 API, over a real server: only its base URL and its token are ours."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from entities.models import HashrateSample, Miner, Wallet
from tests.entities.test_miners import earn, pay
from tests.factories import MinerFactory, WorkerFactory

TERAHASH = 10**12
ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"

pytestmark = pytest.mark.django_db(transaction=True)


class HeadframeClient:
    """Reads answers as such clients do: no defaults, no checks, whatever is missing raises."""

    def __init__(self, url: str, token: str, *, sends_forms: bool) -> None:
        self.url = url
        self.token = token
        self.sends_forms = sends_forms

    def request(self, path: str, body: dict[str, str] | None = None, *, form: bool = False) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        data = None
        if body is not None:
            data = (urllib.parse.urlencode(body) if form else json.dumps(body)).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded" if form else "application/json"
        request = urllib.request.Request(self.url + path, data, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def make_miner(self) -> tuple[str, str]:
        """The new miner's id and its wallet's."""
        name = self.request("/workers/random-name")["name"]
        miner = self.request("/miners", {"account_name": name}, form=self.sends_forms)
        assert miner["name"] == name
        return miner["id"], miner["wallets"][0]

    def set_address(self, wallet: str, address: str) -> Any:
        return self.request(f"/wallets/{wallet}/addresses", {"address": address}, form=self.sends_forms)

    def balance(self, miner: str) -> tuple[float, str]:
        row = self.request(f"/miners/{miner}/balance")["data"][0]
        return float(row["amount"]), row["currency"]

    def earned(self, miner: str) -> float:
        return float(self.request(f"/miners/{miner}/earned-all-time")["data"][0]["amount"])

    def payments(self, miner: str, limit: int = 7) -> list[dict[str, Any]]:
        return self.request(f"/miners/{miner}/payments?limit={limit}")["data"]

    def daily_hashrate(self, miner: str) -> dict[str, int]:
        return {
            row["created_at"].split("T")[0]: int(row["metadata"]["hashrate"])
            for row in self.payments(miner)
            if row["type"] == "reward"
        }

    def workers(self, miner: str) -> dict[str, tuple[str, str, str, str]]:
        rows = self.request(f"/miners/{miner}/workers?limit=100")["data"]
        return {row["id"]: (row["name"], row["status"], row["behavior"], row["type"]) for row in rows}

    def worker_hashrates(self, worker: str) -> tuple[float, float, float]:
        stats = self.request(f"/workers/stats?id={worker}")[worker]
        return tuple(float(stats[window]["hashrate"]) for window in ("10m", "1d", "1w"))

    def chart(self, miner: str) -> list[tuple[datetime, float, float]]:
        points = self.request(f"/miners/charts?period=P1W&id={miner}")["data"][miner]["points"]
        return [
            (
                datetime.fromtimestamp(int(point["timestamp"]), UTC),
                float(point["hashrate"]),
                float(point["rejectrate"]),
            )
            for point in points
        ]


@pytest.fixture(params=[True, False], ids=["forms", "json"])
def client(request, live_server, issue_key) -> HeadframeClient:
    _, secret = issue_key("administrator")
    return HeadframeClient(f"{live_server.url}/api/v1", secret, sends_forms=request.param)


def test_it_makes_a_miner_and_sets_where_it_is_paid(client, account):
    miner, wallet = client.make_miner()
    assert Miner.objects.get(pk=miner).account == account
    answer = client.set_address(wallet, ADDRESS)
    assert (answer["id"], answer["address"]) == (wallet, ADDRESS)
    assert Wallet.objects.get(pk=wallet).address == ADDRESS


def test_a_new_miner_answers_zeros_and_empty_lists(client):
    miner, _ = client.make_miner()
    assert client.balance(miner) == (0.0, "BTC")
    assert client.earned(miner) == 0.0
    assert client.payments(miner) == []
    assert client.workers(miner) == {}
    assert client.chart(miner) == []


def test_it_reads_the_money(client, account):
    miner = MinerFactory(account=account)
    for day in range(15, 22):
        earn(miner, "0.01", day=date(2026, 11, day), hashrate=day * TERAHASH)
    payout = pay(miner, "0.03", paid_at=datetime(2026, 11, 21, 6, tzinfo=UTC))
    assert client.balance(str(miner.pk)) == (0.04, "BTC")
    assert client.earned(str(miner.pk)) == 0.07
    rows = client.payments(str(miner.pk))
    assert len(rows) == 7
    assert [row["type"] for row in rows] == ["payout"] + ["reward"] * 6
    assert (rows[0]["id"], float(rows[0]["amount"]), rows[0]["currency"]) == (str(payout.pk), 0.03, "BTC")
    assert client.daily_hashrate(str(miner.pk)) == {f"2026-11-{day}": day * TERAHASH for day in range(21, 15, -1)}
    # Without its Z, as fromisoformat of old Pythons wants it.
    assert datetime.fromisoformat(rows[0]["created_at"].rstrip("Z")) == datetime(2026, 11, 21, 6)  # noqa: DTZ001
    assert datetime.fromisoformat(rows[1]["created_at"].rstrip("Z")) == datetime(2026, 11, 21)  # noqa: DTZ001


def test_it_reads_the_machines(client, account):
    miner = MinerFactory(account=account)
    now = timezone.now()
    rates = {"hashrate": 3 * TERAHASH, "hashrate_1d": 2 * TERAHASH, "hashrate_1w": TERAHASH}
    silences = {"online": timedelta(minutes=1), "offline": timedelta(hours=1), "inactive": timedelta(days=4)}
    machines = {
        status: WorkerFactory(miner=miner, name=status, last_share_at=now - silence, **rates)
        for status, silence in silences.items()
    }
    assert client.workers(str(miner.pk)) == {
        str(worker.pk): (status, status, "real", "real") for status, worker in machines.items()
    }
    assert client.worker_hashrates(str(machines["online"].pk)) == (3 * TERAHASH, 2 * TERAHASH, TERAHASH)
    assert client.worker_hashrates(str(machines["offline"].pk)) == (0, 2 * TERAHASH, TERAHASH)


def test_it_draws_a_chart(client, account):
    miner = MinerFactory(account=account)
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    HashrateSample.objects.bulk_create(
        HashrateSample(
            miner=miner, at=hour - timedelta(hours=age), hashrate=(200 + age) * TERAHASH, rejected=age * TERAHASH
        )
        for age in range(200)
    )
    points = client.chart(str(miner.pk))
    assert len(points) == 7 * 24
    assert points[0] == (hour, 200.0 * TERAHASH, 0.0)
    assert points[5] == (hour - timedelta(hours=5), 205.0 * TERAHASH, 5.0 * TERAHASH)
