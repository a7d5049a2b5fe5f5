"""Writing what is measured: workers and hourly hashrate."""

from __future__ import annotations

from typing import Any

from entities.ingest.batches import Batch, Key, Row, find, merge, store
from entities.models import HashrateSample, Worker, WorkerGroup

_WORKER_KEY = ("miner_id", "name")
_SAMPLE_KEY = ("miner_id", "at")


def write_workers(batch: Batch) -> None:
    batch.resolve()
    batch.lock_owners("miner")
    keys: dict[Row, Key] = {row: (row.values["miner"], row.values["name"]) for row in batch.good}
    rows = batch.by_key(keys)
    groups = {(row.values["miner"], row.values["group"]) for row in batch.good if row.values["group"]}
    stored_groups = find(WorkerGroup, _WORKER_KEY, groups)
    by_group = merge(WorkerGroup, _WORKER_KEY, {key: {} for key in groups}, stored_groups)

    def said(row: Row) -> dict[str, Any]:
        group = row.values["group"]
        return {
            **{name: row.values[name] for name in ("hashrate", "hashrate_1d", "hashrate_1w", "last_share_at")},
            "group_id": by_group[row.values["miner"], group][0].pk if group else None,
        }

    store(Worker, _WORKER_KEY, rows, said)


def write_hashrate(batch: Batch) -> None:
    batch.resolve()
    batch.lock_owners("miner")
    rows = batch.by_key({row: (row.values["miner"], row.values["at"]) for row in batch.good})
    store(
        HashrateSample,
        _SAMPLE_KEY,
        rows,
        lambda row: {"hashrate": row.values["hashrate"], "rejected": row.values["rejected"]},
    )
