"""Support keys never grow: what was picked by hand, and nothing that comes with it or comes later."""

from __future__ import annotations

import pytest

from accounts.access_levels import PERMISSIONS
from apikeys.grants import load_grant
from apikeys.models import KeyScope
from entities.models import Entity, Hub, HubClient, Miner, Pool
from tests.factories import (
    HubClientFactory,
    HubFactory,
    MinerFactory,
    PoolFactory,
    WalletFactory,
    WorkerFactory,
)

OLD = "nf-7Kd93jsLq02x-Export"


@pytest.fixture
def world(account, other_account):
    """A pool of Northfold's with a hub and a miner on it, and the hub's client, which is Borealis's."""
    pool = PoolFactory(account=account)
    hub = HubFactory(account=account, pool=pool)
    miner = MinerFactory(account=account, pool=pool)
    client = MinerFactory(account=other_account, pool=pool)
    for served in (miner, client):
        HubClientFactory(hub=hub, miner=served)
        WorkerFactory(miner=served)
    return {"pool": pool, "hub": hub, "miner": miner, "client": client}


def reached(key):
    """What ``key`` reaches, by every permission that there is."""
    grant = load_grant(key.secrets.get().selector).grant
    [everything] = {frozenset(Entity.objects.within(grant, name).values_list("pk", flat=True)) for name in PERMISSIONS}
    for model in (Miner, Hub, Pool):
        of_kind = set(model.objects.within(grant, "entities:read").values_list("pk", flat=True))
        assert of_kind == {pk for pk in everything if Entity.objects.get(pk=pk).kind == model.KIND}
    return everything


@pytest.mark.parametrize(
    "picked", [["miner"], ["hub"], ["pool"], ["client"], ["hub", "client"], ["pool", "hub", "miner"]]
)
def test_exactly_what_was_picked_is_reached_and_nothing_beneath(register_key, world, picked):
    key = register_key(OLD, [world[name] for name in picked], access_level="administrator")
    assert reached(key) == {world[name].pk for name in picked}


def test_what_comes_later_is_never_reached(register_key, world, account):
    key = register_key(OLD, list(world.values()), access_level="administrator")
    before = reached(key)
    assert before == {entity.pk for entity in world.values()}
    later = MinerFactory(account=account, pool=world["pool"])
    HubClientFactory(hub=world["hub"], miner=later)
    HubFactory(account=account, pool=world["pool"])
    PoolFactory(account=account)
    assert reached(key) == before


def test_what_leaves_is_lost_at_once(register_key, world, other_account):
    key = register_key(OLD, list(world.values()))
    HubClient.objects.filter(miner=world["client"]).delete()
    Entity.objects.filter(pk=world["miner"].pk).update(account=other_account)
    HubClient.objects.filter(miner=world["miner"]).delete()
    assert reached(key) == {world["hub"].pk, world["pool"].pk}


def test_a_row_on_all_that_got_in_by_hand_opens_nothing(register_key, world):
    key = register_key(OLD, [world["miner"]], access_level="administrator")
    KeyScope.objects.create(key=key, action="*", kind="*")
    assert reached(key) == {world["miner"].pk}


# Through the API


@pytest.fixture
def ask(register_key, world, api):
    def ask(*picked):
        register_key(OLD, [world[name] for name in picked], access_level="administrator")
        client = api(OLD)

        def get(path, method="get", **body):
            for name, entity in world.items():
                path = path.replace(f"{{{name}}}", str(entity.pk))
            return getattr(client, method)(f"/api/v1/{path}", body or None, format="json")

        return get

    return ask


def rows(answer):
    assert answer.status_code == 200, answer.content
    return answer.json()["data"]


def test_of_a_picked_hub_its_clients_are_not_seen(ask, world):
    get = ask("hub")
    assert rows(get("hubs"))[0]["id"] == str(world["hub"].pk)
    assert rows(get("miners")) == rows(get("hubs/{hub}/clients")) == rows(get("hubs/{hub}/workers")) == []
    assert get("hubs/{hub}/stats").json()["workers"]["total"] == 0
    for path in ("miners/{client}", "miners/{miner}", "hubs/{hub}/clients/{client}", "pools/{pool}"):
        assert get(path).status_code == 404
    assert get("hubs/{hub}/clients/{client}", "patch", comment="x").status_code == 404
    assert get("hubs/{hub}/clients/{client}", "delete").status_code == 404
    assert HubClient.objects.filter(miner=world["client"]).exists()


def test_of_a_picked_hub_picked_clients_are_seen(ask, world):
    get = ask("hub", "client")
    assert [row["miner"]["id"] for row in rows(get("hubs/{hub}/clients"))] == [str(world["client"].pk)]
    assert len(rows(get("hubs/{hub}/workers"))) == 1
    assert get("hubs/{hub}/stats").json()["workers"]["total"] == 1
    assert get("hubs/{hub}/clients/{client}", "patch", comment="Pays late").json()["comment"] == "Pays late"


def test_of_a_picked_pool_nothing_on_it_is_seen(ask):
    get = ask("pool")
    assert rows(get("pools/{pool}/miners")) == rows(get("pools/{pool}/hubs")) == []
    assert get("pools/{pool}/stats").json()["miners"] == 0
    assert get("miners/{miner}").status_code == get("hubs/{hub}").status_code == 404


def test_of_a_picked_miner_everything_is_seen(ask, world):
    wallet = WalletFactory(entity=world["miner"])
    get = ask("miner")
    assert len(rows(get("miners/{miner}/workers"))) == 1
    for path in ("miners/{miner}/accruals", "miners/{miner}/payments", "miners/{miner}/hashrate"):
        assert get(path).status_code == 200
    assert str(wallet.pk) in get("miners/{miner}/wallets").content.decode()


def test_it_makes_no_miner(ask):
    assert ask("pool", "hub", "miner")("miners", "post", account_name="new").status_code == 403
