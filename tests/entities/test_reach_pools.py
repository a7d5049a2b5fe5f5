"""What a key over pools reaches through the API: what mines on it, of the key's account or its hubs' clients."""

import pytest

from tests.entities.reach import ids, reaches, writes_of
from tests.factories import HubClientFactory, HubFactory, MinerFactory, PoolFactory, WorkerFactory


@pytest.fixture
def on_it(pool, account, other_account):
    """An own miner, an own hub, and two of its clients of which the second mines elsewhere."""
    hub = HubFactory(account=account, pool=pool)
    return (
        MinerFactory(account=account, pool=pool),
        hub,
        HubClientFactory(hub=hub, miner__pool=pool, miner__account=other_account).miner,
        HubClientFactory(hub=hub, miner__account=other_account).miner,
    )


@pytest.fixture
def outside(pool, on_it, account, other_account):
    foreign_hub = HubFactory(account=other_account, pool=pool)
    other_pool = PoolFactory(account=account)
    return [
        other_pool,
        MinerFactory(account=account, pool=other_pool),
        HubFactory(account=account, pool=other_pool),
        MinerFactory(account=account),
        MinerFactory(account=other_account, pool=pool),
        foreign_hub,
        HubClientFactory(hub=foreign_hub, miner__pool=pool, miner__account=other_account).miner,
        PoolFactory(account=other_account),
    ]


@pytest.mark.parametrize("scope", ["*:pools/{}", "read:pools/{}"])
def test_a_key_over_a_pool_reaches_its_hubs_its_miners_and_their_clients(caller, pool, on_it, outside, scope):
    miner, hub, client, elsewhere = on_it
    call = caller(scope.format(pool.pk))
    assert ids(call, "pools") == {pool.pk}
    assert ids(call, "hubs") == ids(call, f"pools/{pool.pk}/hubs") == {hub.pk}
    assert ids(call, "miners") == {miner.pk, client.pk, elsewhere.pk}
    assert ids(call, f"pools/{pool.pk}/miners") == {miner.pk, client.pk}
    assert ids(call, f"hubs/{hub.pk}/clients") == {client.pk, elsewhere.pk}
    for entity in (pool, *on_it):
        assert reaches(call, entity)


def test_a_key_over_a_pool_reaches_nothing_else_on_any_route(caller, pool, on_it, outside):
    call = caller(f"*:pools/{pool.pk}")
    for entity in outside:
        assert not reaches(call, entity)
        for method, path in writes_of(entity):
            assert call(method, path, {}).status_code == 404, (method, path)


def test_workers_are_reached_from_the_pool_down(caller, pool, on_it, outside):
    miner, hub, client, elsewhere = on_it
    workers = {each.pk: WorkerFactory(miner=each).pk for each in (miner, client, elsewhere)}
    for entity in outside:
        if entity.kind == "miner":
            WorkerFactory(miner=entity)
    call = caller(f"*:pools/{pool.pk}", level="viewer")
    assert ids(call, f"miners/{miner.pk}/workers") == {workers[miner.pk]}
    assert ids(call, f"hubs/{hub.pk}/workers") == {workers[client.pk], workers[elsewhere.pk]}
    assert call("GET", f"pools/{pool.pk}/stats").json()["workers"]["total"] == 2


def test_all_pools_reach_what_mines_on_each_and_no_more(caller, pool, on_it, outside):
    call = caller("*:pools/*")
    assert [reaches(call, entity) for entity in on_it] == [True] * 4
    assert [reaches(call, entity) for entity in outside] == [True, True, True, *[False] * 5]


def test_a_hub_in_scope_gives_no_reach_of_its_pool(caller, pool, on_it):
    call = caller(f"*:hubs/{on_it[1].pk}")
    assert not reaches(call, pool)


def test_a_pool_in_scope_for_reading_changes_nothing_on_it(caller, pool, on_it):
    call = caller(f"read:pools/{pool.pk}")
    for entity in on_it:
        for method, path in writes_of(entity):
            assert call(method, path, {}).status_code == 403, (method, path)


def test_a_pools_lists_show_what_other_rows_of_the_key_reach_on_it(caller, pool, on_it):
    """The pool is only read here; its miner comes from a row of its own."""
    miner, hub, client, _ = on_it
    call = caller(f"read:pools/{pool.pk}", f"*:miners/{miner.pk}")
    assert ids(call, f"pools/{pool.pk}/miners") == {miner.pk, client.pk}
    assert ids(call, f"pools/{pool.pk}/hubs") == {hub.pk}
