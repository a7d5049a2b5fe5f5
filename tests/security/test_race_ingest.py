"""Parallel imports of the same rows: each row is created once, and counted as created once."""

from __future__ import annotations

import pytest

from accounts.audit import Actor
from entities.ingest.importing import Counts, import_rows
from entities.ingest.kinds import ROW_KINDS
from entities.ingest.reading import read_list
from entities.models import Entity, HashrateSample, Payout, Wallet, Worker, WorkerGroup
from tests.factories import MinerFactory
from tests.security.racing import race

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
NAMES = [f"m{number}" for number in range(20)]
ROWS = {
    "miners": [
        {"account": "northfold", "name": name, "wallet_coin": "BTC", "wallet_address": ADDRESS} for name in NAMES
    ],
    "workers": [{"miner": f"northfold/{name}", "name": "01", "group": "rack"} for name in NAMES],
    "hashrate": [{"miner": f"northfold/{name}", "at": "2026-06-01T12:00:00Z", "hashrate": 5} for name in NAMES],
    "payouts": [
        {"miner": f"northfold/{name}", "coin": "BTC", "address": "tb1q", "paid_at": "2026-06-01T12:00:00Z",
         "amount": "1", "transaction": "ab"} for name in NAMES
    ],
}  # fmt: skip
STORED = {
    "miners": [Entity, Wallet],
    "workers": [Worker, WorkerGroup],
    "hashrate": [HashrateSample],
    "payouts": [Payout, Wallet],
}


@pytest.mark.parametrize("kind", ROWS)
def test_parallel_imports_create_and_count_each_row_once(account, kind):
    if kind != "miners":
        for name in NAMES:
            MinerFactory(account=account, name=name)

    def run(rows):
        counts = Counts()
        import_rows(
            ROW_KINDS[kind],
            read_list(rows),
            environment="production",
            actor=Actor.for_command("tests"),
            source="tests",
            counts=counts,
            on_error=lambda error: pytest.fail(str(error)),
        )
        return counts

    # Half of them the other way round: whoever takes locks as the rows come deadlocks.
    results = race([lambda: run(ROWS[kind]), lambda: run(ROWS[kind][::-1])] * 4)
    assert [result for result in results if isinstance(result, Exception)] == []
    assert sum(result.created for result in results) == len(NAMES)
    assert sum(result.unchanged for result in results) == 7 * len(NAMES)
    for model in STORED[kind]:
        assert model.objects.count() == len(NAMES)
