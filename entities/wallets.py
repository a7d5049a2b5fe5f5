"""Where payouts go: the only writer of wallets for keys."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy

from accounts import audit
from accounts.audit import Actor
from accounts.environments import Environment
from accounts.notices import notify_members
from entities.addresses import check_address
from entities.models import Wallet


@transaction.atomic
def set_address(wallet: Wallet, address: str, *, actor: Actor) -> Wallet:
    """Send the wallet's payouts to ``address`` from now on, and return the wallet; past payouts keep theirs.

    The account's owners are told by mail: whoever holds a leaked key would change just this.

    Raises InvalidAddress; ObjectDoesNotExist if the wallet's miner or hub changed account meanwhile.
    """
    locked = (
        Wallet.objects.select_for_update(of=("self", "entity"), no_key=True)
        .select_related("entity__account")
        .get(pk=wallet.pk, entity__account=wallet.entity.account_id)
    )
    address = check_address(address, locked.coin, test_networks=takes_test_coins(locked.entity.environment))
    if address != locked.address:
        audit.record(
            "wallet.changed",
            actor=actor,
            account=locked.entity.account,
            target=locked,
            entity=str(locked.entity_id),
            coin=locked.coin,
            changes={"address": {"from": locked.address, "to": address}},
        )
        notify_members(
            locked.entity.account,
            "payout_address",
            gettext_lazy("A payout address was changed"),
            "payout_address_changed",
            actor=actor,
            entity=locked.entity.name,
            coin=locked.coin,
            old=locked.address,
            new=address,
        )
        locked.address = address
        locked.save(update_fields=["address"])
    return locked


def takes_test_coins(environment: str) -> bool:
    """Whether addresses of coins' test networks are taken: in production only where the settings say so."""
    return environment != Environment.PRODUCTION or bool(settings.PITHEAD_TEST_COINS_IN_PRODUCTION)
