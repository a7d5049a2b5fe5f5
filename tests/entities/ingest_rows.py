"""Rows of every kind, and how tests send them in."""

from __future__ import annotations

from typing import Any

from accounts.audit import Actor
from entities.ingest.importing import Counts, import_rows
from entities.ingest.kinds import ROW_KINDS
from entities.ingest.reading import read_list

AT = "2026-06-01T12:00:00Z"


class Outcome:
    def __init__(self) -> None:
        self.counts, self.errors = Counts(), []

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        counts = self.counts
        return counts.created, counts.updated, counts.unchanged, counts.refused

    @property
    def said(self) -> list[tuple[int, str]]:
        return [(error.row, error.column) for error in self.errors]


def send(kind: str, *rows: dict[str, Any], environment: str = "production") -> Outcome:
    outcome = Outcome()
    import_rows(
        ROW_KINDS[kind],
        read_list(list(rows)),
        environment=environment,
        actor=Actor.for_command("tests"),
        source="tests",
        counts=outcome.counts,
        on_error=outcome.errors.append,
    )
    assert outcome.counts.received == len(rows) == sum(outcome.numbers)
    return outcome


MINER = {"account": "northfold", "name": "m1"}
ROWS: dict[str, dict[str, Any]] = {
    "pools": {"account": "northfold", "name": "new"},
    "hubs": {"account": "northfold", "name": "new", "pool": "northfold/p1"},
    "miners": {
        "account": "northfold",
        "name": "new",
        "id": "01978a3c-52f0-7c1e-9d6b-3f2a41c0d5e7",
        "pool": "northfold/p1",
        "hub": "northfold/h1",
        "commission": "0.0150",
        "created_at": AT,
        "wallet_coin": "BTC",
        "wallet_address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    },
    "workers": {
        "miner": "northfold/m1",
        "name": "01",
        "hashrate": 2**63 - 1,
        "hashrate_1d": 4,
        "hashrate_1w": 3,
        "last_share_at": "2026-06-01T12:00:00.123456Z",
        "group": "rack 1",
    },
    "hashrate": {"miner": "northfold/m1", "at": AT, "hashrate": 5, "rejected": 1},
    "accruals": {
        "hub": "northfold/h1",
        "client": "northfold/m1",
        "day": "2026-06-01",
        "coin": "BTC",
        "amount": "0.00000001",
        "hashrate": 5,
    },
    "payouts": {
        "miner": "northfold/m1",
        "coin": "BTC",
        "address": "tb1qold",
        "paid_at": AT,
        "amount": "1.5",
        "transaction": "ab12",
    },
}
