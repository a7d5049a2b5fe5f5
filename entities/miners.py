"""What can be done to miners: the only writers of them for keys.

Each function runs in one transaction with its audit row.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from accounts import audit
from accounts.audit import Actor
from accounts.models import Account
from entities.changes import set_values
from entities.models import Entity, Miner, Wallet
from entities.names import refusing_taken

#: The coin of the wallet that a new miner has.
COIN = "BTC"
CHANGEABLE = ("name", "minimum_payout")


@transaction.atomic
def create_miner(
    account: Account, environment: str, *, name: str, pool: Entity | None = None, actor: Actor
) -> tuple[Entity, Wallet]:
    """Make a miner with one wallet, which has no address yet. Raises NameTaken."""
    with refusing_taken(Miner.objects.of_account(account.pk, environment).filter(name=name)):
        miner = Miner.objects.create(account=account, environment=environment, name=name, pool=pool)
    wallet = Wallet.objects.create(entity=miner, coin=COIN)
    audit.record(
        "miner.created",
        actor=actor,
        account=account,
        target=miner,
        environment=environment,
        pool=str(pool.pk) if pool else None,
        wallet=str(wallet.pk),
    )
    return miner, wallet


@transaction.atomic
def update_miner(miner: Entity, *, actor: Actor, **values: Any) -> Entity:
    """Set the fields of CHANGEABLE that ``values`` names; return the miner as it is then.

    ``minimum_payout`` is in whole coins, None for what the pool sets. Raises NameTaken; ObjectDoesNotExist if the
    miner changed account meanwhile.
    """
    if not values.keys() <= set(CHANGEABLE):
        raise TypeError(f"Only {', '.join(CHANGEABLE)} can be changed.")
    locked = (
        Miner.objects.select_for_update(of=("self",), no_key=True)
        .select_related("account")
        .get(pk=miner.pk, account=miner.account_id)
    )
    changes = set_values(locked, values)
    if changes:
        namesakes = Miner.objects.of_account(locked.account_id, locked.environment).filter(name=locked.name)
        with refusing_taken(namesakes.exclude(pk=locked.pk)):
            locked.save(update_fields=list(changes))
        audit.record("miner.changed", actor=actor, account=locked.account, target=locked, changes=changes)
    return locked
