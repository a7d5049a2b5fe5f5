"""What changes hands or places is out of reach on the next request, on every route: no key remembers."""

import pytest

from entities.models import Entity, HubClient
from tests.entities.reach import ids, reaches, writes_of
from tests.entities.test_miners import earn
from tests.factories import HubClientFactory, HubFactory, MinerFactory, PoolFactory, WorkerFactory


@pytest.fixture
def client(hub, other_account):
    client = HubClientFactory(hub=hub, miner__account=other_account).miner
    WorkerFactory(miner=client)
    return client


def move(entity, **fields):
    Entity.objects.filter(pk=entity.pk).update(**fields)


def assert_gone(call, entity):
    assert not reaches(call, entity)
    for method, path in writes_of(entity):
        assert call(method, path, {}).status_code == 404, (method, path)


def removed_by_the_hub(hub, client, caller, other_account):
    assert caller(f"*:hubs/{hub.pk}")("DELETE", f"hubs/{hub.pk}/clients/{client.pk}").status_code == 204


def left_by_the_owner(hub, client, caller, other_account):
    call = caller(f"*:miners/{client.pk}", account=other_account)
    assert call("DELETE", f"miners/{client.pk}/hubs/{hub.pk}").status_code == 204


def removed_by_staff(hub, client, caller, other_account):
    HubClient.objects.filter(hub=hub, miner=client).delete()


def moved_to_staging(hub, client, caller, other_account):
    move(client, environment="staging")


@pytest.mark.parametrize("end", [removed_by_the_hub, left_by_the_owner, removed_by_staff, moved_to_staging])
@pytest.mark.parametrize("scope", ["*:*", "*:hubs/*", "*:hubs/{hub}", "*:miners/{client}"])
def test_a_client_that_leaves_is_gone_at_once(caller, hub, client, other_account, scope, end):
    earn(hub, "0.0001", client=client)
    earn(client, "0.01")
    call = caller(scope.format(hub=hub.pk, client=client.pk))
    assert reaches(call, client)
    end(hub, client, caller, other_account)
    assert_gone(call, client)
    if "miners" not in scope:
        assert ids(call, f"hubs/{hub.pk}/clients") == ids(call, f"hubs/{hub.pk}/workers") == set()
        assert call("GET", f"hubs/{hub.pk}/clients/{client.pk}").status_code == 404
        if end is not moved_to_staging:  # which SQL alone can do: the number is of rows, and tells of nobody
            assert call("GET", f"hubs/{hub.pk}").json()["clients"] == 0
        assert call("GET", f"hubs/{hub.pk}/stats").json()["workers"]["total"] == 0
        [row] = call("GET", f"hubs/{hub.pk}/finance").json()["data"]
        assert (row["client"], row["earned"]) == (str(client.pk), None)


def test_a_client_that_leaves_one_of_two_hubs_stays_with_the_other(caller, hub, client, account):
    second = HubFactory(account=account)
    HubClientFactory(hub=second, miner=client)
    over_first, over_second = caller(f"*:hubs/{hub.pk}"), caller(f"*:hubs/{second.pk}")
    HubClient.objects.filter(hub=hub).delete()
    assert (reaches(over_first, client), reaches(over_second, client)) == (False, True)


@pytest.mark.parametrize("scope", ["*:*", "*:miners/*", "*:miners/{}"])
def test_a_miner_that_changes_account_is_gone_at_once_and_its_new_accounts(caller, account, other_account, scope):
    miner = MinerFactory(account=account)
    call = caller(scope.format(miner.pk))
    new_owners = caller("*:*", account=other_account)
    assert (reaches(call, miner), reaches(new_owners, miner)) == (True, False)
    move(miner, account=other_account)
    assert_gone(call, miner)
    assert reaches(new_owners, miner)


@pytest.mark.parametrize("scope", ["*:*", "*:hubs/*", "*:hubs/{}"])
def test_a_hub_that_changes_account_is_gone_at_once_with_its_clients(caller, hub, client, other_account, scope):
    call, new_owners = caller(scope.format(hub.pk)), caller("*:*", account=other_account)
    assert (reaches(call, hub), reaches(call, client)) == (True, True)
    move(hub, account=other_account)
    assert_gone(call, hub)
    assert_gone(call, client)
    assert (reaches(new_owners, hub), reaches(new_owners, client)) == (True, True)


@pytest.mark.parametrize("scope", ["*:pools/*", "*:pools/{}"])
def test_a_pool_that_changes_account_takes_along_what_was_reached_through_it(caller, hub, client, other_account, scope):
    pool = PoolFactory(account=hub.account)
    miner = MinerFactory(account=hub.account, pool=pool)
    move(hub, pool=pool)
    call = caller(scope.format(pool.pk))
    assert [reaches(call, entity) for entity in (pool, miner, hub, client)] == [True] * 4
    move(pool, account=other_account)
    for entity in (pool, miner, hub, client):
        assert_gone(call, entity)


@pytest.mark.parametrize("factory", [MinerFactory, HubFactory, PoolFactory])
@pytest.mark.parametrize("picked", [True, False])
def test_an_entity_that_changes_environment_is_gone_at_once(caller, account, factory, picked):
    entity = factory(account=account)
    noun = f"{entity.kind}s"
    call = caller(f"*:{noun}/{entity.pk}" if picked else "*:*")
    assert reaches(call, entity)
    move(entity, environment="staging")
    assert_gone(call, entity)


def test_a_hub_that_changes_environment_takes_its_clients_out_of_reach(caller, hub, client):
    call = caller("*:*")
    assert reaches(call, client)
    move(hub, environment="staging")
    assert_gone(call, hub)
    assert_gone(call, client)


@pytest.mark.parametrize("to_another", [True, False])
def test_what_moves_to_another_pool_is_gone_at_once(caller, hub, client, account, to_another):
    pool, other = PoolFactory.create_batch(2, account=account)
    miner = MinerFactory(account=account, pool=pool)
    move(hub, pool=pool)
    move(client, pool=pool)
    call = caller(f"*:pools/{pool.pk}")
    assert ids(call, f"pools/{pool.pk}/miners") == {miner.pk, client.pk}
    for entity in (miner, hub, client):
        assert reaches(call, entity)
        move(entity, pool=other if to_another else None)
    for entity in (miner, hub, client):
        assert_gone(call, entity)
    assert ids(call, f"pools/{pool.pk}/miners") == ids(call, f"pools/{pool.pk}/hubs") == set()
    assert call("GET", f"pools/{pool.pk}/stats").json()["miners"] == 0


def test_a_client_that_moves_to_another_pool_stays_reached_through_its_hub(caller, hub, client, account):
    pool = PoolFactory(account=account)
    move(hub, pool=pool)
    move(client, pool=pool)
    call = caller(f"*:pools/{pool.pk}")
    move(client, pool=None)
    assert reaches(call, client)
    assert ids(call, f"pools/{pool.pk}/miners") == set()


def test_a_page_held_by_its_cursor_shows_nothing_that_left_since(caller, hub, account):
    clients = [HubClientFactory(hub=hub).miner for _ in range(3)]
    call = caller("*:hubs/*")
    cursor = call("GET", "miners?limit=1").json()["page"]["next"]
    HubClient.objects.filter(miner=clients[1]).delete()
    rows = call("GET", f"miners?limit=1&cursor={cursor}").json()["data"]
    assert [row["id"] for row in rows] == [str(clients[2].pk)]
