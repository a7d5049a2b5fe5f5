"""Writing pools, hubs and miners, with a miner's hub and wallet."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from accounts.models import Account
from entities.addresses import COINS, InvalidAddress, check_address
from entities.ingest.batches import Batch, Key, Row, State, find, save_changed, store
from entities.ingest.columns import show
from entities.models import Entity, HubClient, Kind, Wallet
from entities.wallets import takes_test_coins

_KINDS = {"pools": Kind.POOL, "hubs": Kind.HUB, "miners": Kind.MINER}
_NAME_KEY = ("account_id", "environment", "kind", "name")
_FIELDS = {"name": "name", "pool": "pool_id", "created_at": "created_at"}


def write(batch: Batch) -> None:
    """Make and change entities as the rows say. Never an account, and never an entity of another one."""
    batch.resolve()
    accounts = _lock_accounts(batch)
    _check_pairs(batch)
    entities = _match(batch, _KINDS[batch.kind.name], accounts)
    _save(entities)
    if batch.kind.name == "miners":
        _save_wallets(entities)
        _save_clients(entities)


def _lock_accounts(batch: Batch) -> dict[str, UUID]:
    """The accounts that the rows name, held, so that of two imports of one name one makes it; others are refused."""
    slugs = {row.values["account"] for row in batch.good}
    found = Account.objects.filter(slug__in=slugs).order_by("pk").select_for_update(no_key=True)
    accounts = dict(found.values_list("slug", "pk"))
    for row in batch.good:
        if row.values["account"] not in accounts:
            batch.refuse(
                row, "account", f"is {show(row.values['account'])}, which is not there; imports make no accounts."
            )
    return accounts


def _check_pairs(batch: Batch) -> None:
    for row in batch.good:
        values = row.values
        if values.get("commission") is not None and values["hub"] is None:
            batch.refuse(row, "commission", "needs a hub; say which in the column hub.")
        elif values.get("wallet_address") is not None and values["wallet_coin"] is None:
            batch.refuse(row, "wallet_address", "needs a coin; say which in the column wallet_coin.")
        elif values.get("wallet_address") is not None and values["wallet_coin"] in COINS:
            # Of a coin that isn't known here the pool knows better.
            try:
                values["wallet_address"] = check_address(
                    values["wallet_address"],
                    values["wallet_coin"],
                    test_networks=takes_test_coins(batch.environment),
                )
            except InvalidAddress as error:
                batch.refuse(row, "wallet_address", f"is {show(values['wallet_address'])}. {error}")


def _match(batch: Batch, kind: Kind, accounts: dict[str, UUID]) -> dict[Row, Entity]:
    """The entity of each row, stored or new, with what the row says set on it."""
    keys: dict[Row, Key] = {
        row: (accounts[row.values["account"]], batch.environment, kind, row.values["name"]) for row in batch.good
    }
    batch.by_key(keys)
    _refuse_repeated_ids(batch)
    by_name = find(Entity, _NAME_KEY, {keys[row] for row in batch.good})
    by_id = Entity.objects.in_bulk({row.values["id"] for row in batch.good} - {None})
    # By id, so that two rows about one entity, by its old name and by its id, meet in one object.
    same = {entity.pk: entity for entity in [*by_name.values(), *by_id.values()]}
    entities: dict[Row, Entity] = {}
    taken: dict[UUID, Row] = {}
    for row in batch.good:
        named, own_id = by_name.get(keys[row]), row.values["id"]
        entity = by_id.get(own_id) if own_id else named
        wrong = _misfit(batch, entity, named, own_id, keys[row])
        if wrong:
            batch.refuse(row, "id", wrong)
            continue
        if entity is None:
            account_id, environment, its_kind, name = keys[row]
            entity = Entity(account_id=account_id, environment=environment, kind=its_kind, name=name)
            if own_id:
                entity.pk = own_id
            row.mark(State.CREATED)
        entity = same.get(entity.pk, entity)
        earlier = taken.setdefault(entity.pk, row)
        if earlier is not row:
            batch.refuse(row, "", f"is about the same {kind} as row {earlier.number}. Keep one.")
            continue
        for column, attribute in _FIELDS.items():
            said = row.values.get(column)
            if said is not None and getattr(entity, attribute) != said:
                setattr(entity, attribute, said)
                row.mark(State.UPDATED)
        entities[row] = entity
    return entities


def _refuse_repeated_ids(batch: Batch) -> None:
    first: dict[UUID, Row] = {}
    for row in batch.good:
        own_id = row.values["id"]
        if own_id and first.setdefault(own_id, row) is not row:
            batch.refuse(row, "id", f"is {own_id}, as in row {first[own_id].number}. Keep one.")


def _misfit(batch: Batch, entity: Entity | None, named: Entity | None, own_id: Any, key: Key) -> str:
    """Why the row's id can't be that of its account and name; "" where it can."""
    if own_id is None:
        return ""
    account_id, environment, kind, name = key
    if entity is None:
        return f"is {own_id}, but {show(name)} is there with the ID {named.pk}; leave it out." if named else ""
    if entity.kind != kind:
        return f"is {own_id}, a {entity.kind}; give a {kind}’s."
    if entity.environment != environment:
        return f"is {own_id}, a {kind} of {entity.environment}; this import is into {batch.environment}."
    if entity.account_id != account_id:
        return f"is {own_id}, a {kind} of another account; imports move none."
    if named is not None and named.pk != entity.pk:
        return f"is {own_id}, but {show(name)} is the name of {named.pk}; give another name."
    return ""


def _save(entities: dict[Row, Entity]) -> None:
    Entity.objects.bulk_create(entity for row, entity in entities.items() if row.state is State.CREATED)
    changed = [entity for row, entity in entities.items() if row.state is State.UPDATED]
    save_changed(Entity, changed, _FIELDS.values())


def _save_wallets(entities: dict[Row, Entity]) -> None:
    rows: dict[Key, Row] = {
        (entity.pk, row.values["wallet_coin"]): row for row, entity in entities.items() if row.values["wallet_coin"]
    }
    store(Wallet, ("entity_id", "coin"), rows, lambda row: {"address": row.values["wallet_address"]}, is_part=True)


def _save_clients(entities: dict[Row, Entity]) -> None:
    rows: dict[Key, Row] = {
        (row.values["hub"], entity.pk): row for row, entity in entities.items() if row.values["hub"]
    }
    store(HubClient, ("hub_id", "miner_id"), rows, lambda row: {"commission": row.values["commission"]}, is_part=True)
