"""Writing money: accruals and payouts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from entities.ingest.batches import Batch, Key, Row, State, find, merge, store
from entities.models import Accrual, Payout, Wallet

_CLIENT_KEY = ("entity_id", "client_id", "day", "coin")
_OWN_KEY = ("entity_id", "day", "coin")
_PAYOUT_KEY = ("entity_id", "transaction")
_WALLET_KEY = ("entity_id", "coin")


def write_accruals(batch: Batch) -> None:
    batch.resolve()
    for row in batch.good:
        if row.values["client"] is not None and row.values["hub"] is None:
            batch.refuse(row, "client", "is for hubs; a miner earns with no client.")
    batch.lock_owners("miner", "hub", "client")
    own: dict[Row, Key] = {}
    with_client: dict[Row, Key] = {}
    for row in batch.good:
        owner, client, day, coin = _owner(row), row.values["client"], row.values["day"], row.values["coin"]
        if client is None:
            own[row] = owner, day, coin
        else:
            with_client[row] = owner, client, day, coin
    # Apart, for the database finds NULL by no equality.
    for keys, key, where in ((own, _OWN_KEY, "s.client_id IS NULL"), (with_client, _CLIENT_KEY, "")):
        store(
            Accrual,
            key,
            batch.by_key(keys),
            lambda row: {"amount": row.values["amount"], "hashrate": row.values["hashrate"]},
            where=where,
        )


def write_payouts(batch: Batch) -> None:
    batch.resolve()
    batch.lock_owners("miner", "hub")
    rows = batch.by_key({row: (_owner(row), row.values["transaction"]) for row in batch.good})
    stored = find(Payout, _PAYOUT_KEY, rows)
    wallets = find(Wallet, _WALLET_KEY, {_wallet_key(row) for row in rows.values()})
    for its_key, row in rows.items():
        wallet = wallets.get(_wallet_key(row))
        if its_key not in stored and not row.values["address"]:
            row.values["address"] = wallet.address if wallet else None
            if not row.values["address"]:
                batch.refuse(row, "address", "is empty, and the wallet has none; give the address that it was sent to.")
    paid = {its_key: row for its_key, row in rows.items() if row.state is not State.REFUSED}
    # A wallet made here has no address: where money went once says nothing about where it shall go.
    needed: dict[Key, dict[str, Any]] = {_wallet_key(row): {} for row in paid.values()}
    all_wallets = merge(Wallet, _WALLET_KEY, needed, wallets)
    wanted = {
        its_key: {
            **{name: row.values[name] for name in ("coin", "address", "paid_at", "amount")},
            "wallet_id": all_wallets[_wallet_key(row)][0].pk,
        }
        for its_key, row in paid.items()
    }
    for its_key, (_, state) in merge(Payout, _PAYOUT_KEY, wanted, stored).items():
        paid[its_key].mark(state)


def _owner(row: Row) -> UUID:
    owner: UUID = row.values["miner"] or row.values["hub"]
    return owner


def _wallet_key(row: Row) -> Key:
    return _owner(row), row.values["coin"]
