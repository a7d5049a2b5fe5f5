"""A small world in which every route of the API finds something."""

from __future__ import annotations

from accounts.models import Account
from tests.factories import HubClientFactory, HubFactory, MinerFactory, PoolFactory, WorkerFactory


def make_world(account: Account, other_account: Account) -> dict[str, str]:
    """Return path parameter → id."""
    pool = PoolFactory(account=account)
    hub = HubFactory(account=account, pool=pool)
    miner = MinerFactory(account=account, pool=pool)
    HubClientFactory(hub=hub, miner=MinerFactory(account=other_account))
    worker = WorkerFactory(miner=miner)
    return {"miner_id": str(miner.pk), "hub_id": str(hub.pk), "pool_id": str(pool.pk), "worker_id": str(worker.pk)}


def ids_of(parameters: dict[str, str], world: dict[str, str]) -> dict[str, str]:
    """The same parameters, with ids that exist."""
    return {name: world.get(name, value) for name, value in parameters.items()}
