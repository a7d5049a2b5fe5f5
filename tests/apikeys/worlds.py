"""A small world in which every route of the API finds something."""

from __future__ import annotations

from accounts.models import Account
from tests.factories import (
    HubClientFactory,
    HubFactory,
    HubInvitationFactory,
    MinerFactory,
    PoolFactory,
    WalletFactory,
    WorkerFactory,
    WorkerGroupFactory,
)


def make_world(account: Account, other_account: Account) -> dict[str, str]:
    """Return path parameter → id, all of them of things that hang together."""
    pool = PoolFactory(account=account)
    hub = HubFactory(account=account, pool=pool)
    miner = MinerFactory(account=account, pool=pool)
    HubClientFactory(hub=hub, miner=miner)
    HubClientFactory(hub=hub, miner=MinerFactory(account=other_account))
    return {
        name: str(made.pk)
        for name, made in {
            "pool_id": pool,
            "hub_id": hub,
            "miner_id": miner,
            "invitation_id": HubInvitationFactory(hub=hub, miner_id=miner.pk),
            "worker_id": WorkerFactory(miner=miner),
            "group_id": WorkerGroupFactory(miner=miner),
            "wallet_id": WalletFactory(entity=miner),
        }.items()
    }


def ids_of(parameters: dict[str, str], world: dict[str, str]) -> dict[str, str]:
    """The same parameters, with ids that exist."""
    return {name: world.get(name, value) for name, value in parameters.items()}
