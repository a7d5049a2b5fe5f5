"""The kinds of rows that come in, as one table: the command, the API and docs/import.md are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from entities.ingest import columns as c
from entities.ingest.columns import Column, Invalid
from entities.models import Kind


@dataclass(frozen=True)
class RowKind:
    """``name`` is its file's and its route's; ``same`` says in words which rows are about the same thing."""

    name: str
    same: str
    columns: tuple[Column, ...]
    #: Of these columns, exactly one is said.
    one_of: tuple[str, ...] = ()

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(column.name for column in self.columns)

    @cached_property
    def references(self) -> tuple[tuple[str, Kind], ...]:
        """The columns that name entities, and of what kind these are."""
        return tuple((column.name, column.type.refers_to) for column in self.columns if column.type.refers_to)

    def check_header(self, header: list[str]) -> None:
        """Raise Invalid where the columns of a file are not these."""
        known = ", ".join(column.name for column in self.columns)
        unknown = [name for name in header if name not in self.names]
        if unknown:
            hint = " Separate columns by commas." if len(header) == 1 and len(self.columns) > 1 else ""
            raise Invalid(f"Unknown column {c.show(unknown[0])}; known here: {known}.{hint}")
        twice = [name for name in header if header.count(name) > 1]
        if twice:
            raise Invalid(f"The column {twice[0]} stands there twice.")
        missing = [column.name for column in self.columns if column.required and column.name not in header]
        if missing:
            raise Invalid(f"The column {missing[0]} is missing; known here: {known}.")

    def read(self, raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Return the values of a row, None where it says nothing, and (column, sentence) for all that is wrong."""
        values: dict[str, Any] = {}
        wrong: list[tuple[str, str]] = []
        for column in self.columns:
            name = column.name
            try:
                values[name] = column.read(raw.get(name))
            except Invalid as error:
                wrong.append((name, str(error)))
        unknown = raw.keys() - self.names
        if unknown:
            known = ", ".join(column.name for column in self.columns)
            wrong.extend((c.show(name)[1:-1], f"is unknown; known here: {known}.") for name in sorted(unknown)[:10])
        if self.one_of and not wrong and sum(values[name] is not None for name in self.one_of) != 1:
            wrong.append((self.one_of[0], f"or else {self.one_of[1]} must be given, one of them."))
        return values, wrong


_MINER = Column("miner", c.MINER, "whose it is", required=True)
_ACCOUNT = Column("account", c.ACCOUNT, "whose it is; accounts are never made by an import", required=True)
_NAME = Column("name", c.NAME, "unique in the account, the environment and the kind", required=True)
_ID = Column("id", c.ID, "to keep an ID from elsewhere, or to rename what has it; else one is made")
_POOL = Column("pool", c.POOL, "the pool that it mines on")
_CREATED = Column("created_at", c.MOMENT, "since when it is there; when it is new, by default now")
_COIN = Column("coin", c.COIN, "the coin’s ticker symbol", required=True)
_OWNER = (
    Column("miner", c.MINER, "whose it is, if a miner’s"),
    Column("hub", c.HUB, "whose it is, if a hub’s"),
)

#: In the order of import: what others refer to comes first.
ROW_KINDS: dict[str, RowKind] = {
    kind.name: kind
    for kind in [
        RowKind("pools", "`id`, or `account` and `name`", (_ACCOUNT, _NAME, _ID)),
        RowKind("hubs", "`id`, or `account` and `name`", (_ACCOUNT, _NAME, _ID, _POOL)),
        RowKind(
            "miners",
            "`id`, or `account` and `name`",
            (
                _ACCOUNT,
                _NAME,
                _ID,
                _POOL,
                Column("hub", c.HUB, "a hub that serves it; others that do so already go on"),
                Column("commission", c.SHARE, "that hub’s share of its earnings; needs `hub`"),
                _CREATED,
                Column("wallet_coin", c.COIN, "the coin of `wallet_address`"),
                Column("wallet_address", c.ADDRESS, "where its payouts go from now on; needs `wallet_coin`"),
            ),
        ),
        RowKind(
            "workers",
            "`miner` and `name`",
            (
                _MINER,
                Column("name", c.NAME, "unique in the miner", required=True),
                Column("hashrate", c.WHOLE, "hashes per second, mean of the last ten minutes"),
                Column("hashrate_1d", c.WHOLE, "hashes per second, mean of the last day"),
                Column("hashrate_1w", c.WHOLE, "hashes per second, mean of the last week"),
                Column("last_share_at", c.MOMENT, "when its last accepted share came"),
                Column("group", c.NAME, "the group’s name; it is made where the miner has none of that name"),
            ),
        ),
        RowKind(
            "hashrate",
            "`miner` and `at`",
            (
                _MINER,
                Column("at", c.HOUR, "the hour that was measured", required=True),
                Column("hashrate", c.WHOLE, "hashes per second, mean of the hour, accepted", required=True),
                Column("rejected", c.WHOLE, "hashes per second whose shares were rejected; by default 0"),
            ),
        ),
        RowKind(
            "accruals",
            "`miner` or `hub`, `client`, `day` and `coin`",
            (
                *_OWNER,
                Column("client", c.MINER, "for a hub: the client that it earned its commission with"),
                Column("day", c.DAY, "the day (UTC) that earned it", required=True),
                _COIN,
                Column("amount", c.AMOUNT, "in whole coins", required=True),
                Column("hashrate", c.WHOLE, "hashes per second that it was earned with, the day’s mean"),
            ),
            one_of=("miner", "hub"),
        ),
        RowKind(
            "payouts",
            "`miner` or `hub`, and `transaction`",
            (
                *_OWNER,
                _COIN,
                Column("address", c.ADDRESS, "where it was sent; when it is new, by default the wallet’s address"),
                Column("paid_at", c.MOMENT, "when it was sent", required=True),
                Column("amount", c.PAID, "in whole coins", required=True),
                Column("transaction", c.TRANSACTION, "the transaction’s id on the coin’s chain", required=True),
            ),
            one_of=("miner", "hub"),
        ),
    ]
}
