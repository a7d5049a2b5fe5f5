"""Writing what is measured: workers and hourly hashrate."""

from __future__ import annotations

from entities.ingest.batches import Batch, Key, Row, find, merge
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
    wanted = {}
    for key, row in rows.items():
        said = {name: row.values[name] for name in ("hashrate", "hashrate_1d", "hashrate_1w", "last_share_at")}
        group = row.values["group"]
        wanted[key] = {**said, "group_id": by_group[row.values["miner"], group][0].pk if group else None}
    for key, (_, state) in merge(Worker, _WORKER_KEY, wanted, find(Worker, _WORKER_KEY, wanted)).items():
        rows[key].mark(state)


def write_hashrate(batch: Batch) -> None:
    batch.resolve()
    batch.lock_owners("miner")
    rows = batch.by_key({row: (row.values["miner"], row.values["at"]) for row in batch.good})
    wanted = {
        key: {"hashrate": row.values["hashrate"], "rejected": row.values["rejected"]} for key, row in rows.items()
    }
    for key, (_, state) in merge(
        HashrateSample, _SAMPLE_KEY, wanted, find(HashrateSample, _SAMPLE_KEY, wanted)
    ).items():
        rows[key].mark(state)
