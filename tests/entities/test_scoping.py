"""What a key reaches: the rules of `entities.scoping`, one by one."""

import pytest

from apikeys import key_format
from apikeys.grants import load_grant
from entities.models import Entity, Hub, HubClient, Miner, Pool
from tests.factories import HubClientFactory, HubFactory, MinerFactory, PoolFactory


@pytest.fixture
def reach(issue_key):
    """Issue a key with scopes; the answer says what it reaches at the moment of asking."""

    def issue(*scopes, **fields):
        _, secret = issue_key("administrator", scopes, **fields)
        selector = key_format.parse(secret, prefix="ph").selector

        def reached(model=Miner, permission="entities:read"):
            return set(model.objects.within(load_grant(selector).grant, permission))

        return reached

    return issue


@pytest.fixture
def client(hub, other_account):
    """A miner of Borealis that Northfold's hub serves."""
    return HubClientFactory(hub=hub, miner=MinerFactory(account=other_account)).miner


# All


def test_all_miners_means_the_accounts_own(reach, miner, other_account):
    MinerFactory(account=other_account)
    assert reach("*:miners/*")() == {miner}


def test_all_miners_leaves_out_hub_clients(reach, miner, client):
    assert reach("*:miners/*")() == {miner}


def test_all_miners_reaches_a_miner_added_later(reach, miner):
    reached = reach("*:miners/*")
    later = MinerFactory(account=miner.account)
    assert reached() == {miner, later}


def test_all_of_one_kind_reaches_no_other(reach, miner, hub, pool):
    reached = reach("*:miners/*")
    assert reached(Hub) == reached(Pool) == set()


def test_everything_reaches_own_entities_of_all_kinds_and_clients(reach, miner, hub, pool, client):
    reached = reach("*:*")
    assert (reached(), reached(Hub), reached(Pool)) == ({miner, client}, {hub}, {pool})


def test_kinds_are_reached_together_through_the_common_model(reach, miner, hub, pool, client, other_account):
    PoolFactory(account=other_account)
    assert {entity.pk for entity in reach("*:*")(Entity)} == {miner.pk, hub.pk, pool.pk, client.pk}


def test_a_kind_sees_only_itself_within_everything(reach, miner, hub):
    assert reach("*:*")(Pool) == set()


# Picked by hand


def test_a_picked_miner_is_the_only_one_reached(reach, miner):
    MinerFactory(account=miner.account)
    assert reach(f"*:miners/{miner.pk}")() == {miner}


def test_a_picked_list_never_grows(reach, miner):
    reached = reach(f"*:miners/{miner.pk}")
    MinerFactory(account=miner.account)
    assert reached() == {miner}


def test_a_picked_client_is_reached_without_its_hub(reach, client, hub):
    MinerFactory(account=client.account)
    reached = reach(f"*:miners/{client.pk}")
    assert (reached(), reached(Hub)) == ({client}, set())


def test_a_picked_client_that_left_its_hub_is_out_of_reach_at_once(reach, client):
    reached = reach(f"*:miners/{client.pk}")
    HubClient.objects.filter(miner=client).delete()
    assert reached() == set()


def test_a_picked_client_of_another_accounts_hub_is_out_of_reach(reach, client, hub, other_account):
    reached = reach(f"*:miners/{client.pk}")
    Hub.objects.filter(pk=hub.pk).update(account=other_account)
    assert reached() == set()


def test_a_picked_miner_that_changed_account_is_out_of_reach_at_once(reach, miner, other_account):
    reached = reach(f"*:miners/{miner.pk}")
    Miner.objects.filter(pk=miner.pk).update(account=other_account)
    assert reached() == set()


def test_a_picked_miner_that_changed_account_stays_as_client_of_an_own_hub(reach, miner, hub, other_account):
    reached = reach(f"*:miners/{miner.pk}")
    HubClientFactory(hub=hub, miner=miner)
    Miner.objects.filter(pk=miner.pk).update(account=other_account)
    assert reached() == {miner}


def test_a_pick_of_one_kind_reaches_none_of_another(reach, miner, hub, pool):
    reached = reach(f"*:pools/{pool.pk}")
    assert (reached(), reached(Hub), reached(Pool)) == (set(), set(), {pool})


# Hubs reach down


def test_a_hub_reaches_its_clients_of_any_account(reach, hub, client, miner):
    assert reach(f"*:hubs/{hub.pk}")() == {client}


def test_all_hubs_reach_the_clients_of_each(reach, hub, client, account):
    other = HubClientFactory(hub=HubFactory(account=account)).miner
    assert reach("*:hubs/*")() == {client, other}


def test_a_miner_that_two_hubs_serve_is_reached_once(issue_key, reach, hub, client, account):
    HubClientFactory(hub=HubFactory(account=account), miner=client)
    _, secret = issue_key("viewer", ["*:*"])
    grant = load_grant(key_format.parse(secret, prefix="ph").selector).grant
    assert list(Miner.objects.within(grant, "entities:read")) == [client]


def test_a_picked_hub_leaves_out_the_clients_of_another(reach, hub, client, account):
    HubClientFactory(hub=HubFactory(account=account))
    assert reach(f"*:hubs/{hub.pk}")() == {client}


def test_a_client_that_joins_later_is_reached(reach, hub):
    reached = reach(f"*:hubs/{hub.pk}")
    later = HubClientFactory(hub=hub).miner
    assert reached() == {later}


def test_a_client_that_leaves_is_out_of_reach_at_once(reach, hub, client):
    reached = reach(f"*:hubs/{hub.pk}")
    HubClient.objects.filter(miner=client).delete()
    assert reached() == set()


def test_a_client_that_changes_account_stays_with_its_hub(reach, hub, client, account):
    reached = reach(f"*:hubs/{hub.pk}")
    Miner.objects.filter(pk=client.pk).update(account=account)
    assert reached() == {client}


def test_a_hub_that_changes_account_takes_its_clients_out_of_reach(reach, hub, client, other_account):
    reached = reach(f"*:hubs/{hub.pk}")
    Hub.objects.filter(pk=hub.pk).update(account=other_account)
    assert reached() == reached(Hub) == set()


def test_an_own_hub_is_no_reason_to_reach_other_miners_of_a_clients_account(reach, hub, client):
    MinerFactory(account=client.account)
    assert reach("*:hubs/*")() == {client}


def test_being_a_client_gives_no_reach_of_the_hub_or_its_other_clients(reach, miner, other_account):
    hub = HubFactory(account=other_account)
    HubClientFactory(hub=hub, miner=miner)
    HubClientFactory(hub=hub)
    reached = reach("*:*")
    assert (reached(), reached(Hub)) == ({miner}, set())


# Pools reach down


def test_a_pool_reaches_own_hubs_and_miners_on_it(reach, pool, miner, hub, account):
    on_pool, hub_on_pool = MinerFactory(account=account, pool=pool), HubFactory(account=account, pool=pool)
    reached = reach(f"*:pools/{pool.pk}")
    assert (reached(), reached(Hub)) == ({on_pool}, {hub_on_pool})


def test_a_pool_reaches_clients_on_it_though_their_hub_is_elsewhere(reach, pool, hub, client):
    Miner.objects.filter(pk=client.pk).update(pool=pool)
    reached = reach(f"*:pools/{pool.pk}")
    assert (reached(), reached(Hub)) == ({client}, set())


def test_a_hub_reached_through_its_pool_reaches_its_clients(reach, pool, hub, client):
    Hub.objects.filter(pk=hub.pk).update(pool=pool)
    assert reach(f"*:pools/{pool.pk}")() == {client}


def test_a_pool_reaches_nothing_of_other_accounts_on_it(reach, pool, other_account):
    MinerFactory(account=other_account, pool=pool)
    HubClientFactory(hub=HubFactory(account=other_account, pool=pool))
    reached = reach(f"*:pools/{pool.pk}")
    assert (reached(), reached(Hub)) == (set(), set())


def test_all_pools_reach_what_mines_on_each(reach, pool, account):
    on_each = {MinerFactory(account=account, pool=each) for each in (pool, PoolFactory(account=account))}
    MinerFactory(account=account)
    assert reach("*:pools/*")() == on_each


def test_a_miner_that_moves_to_another_pool_is_out_of_reach_at_once(reach, pool, account):
    miner = MinerFactory(account=account, pool=pool)
    reached = reach(f"*:pools/{pool.pk}")
    Miner.objects.filter(pk=miner.pk).update(pool=None)
    assert reached() == set()


def test_a_pool_that_changes_account_takes_along_what_mines_on_it(reach, pool, account, other_account):
    MinerFactory(account=account, pool=pool)
    reached = reach(f"*:pools/{pool.pk}")
    Pool.objects.filter(pk=pool.pk).update(account=other_account)
    assert reached() == reached(Pool) == set()


# Environments


@pytest.mark.parametrize("scope", ["*:*", "*:miners/*"])
def test_entities_of_another_environment_do_not_exist(reach, miner, account, scope):
    for factory in (MinerFactory, HubFactory, PoolFactory):
        factory(account=account, environment="staging")
    reached = reach(scope)
    assert (reached(), reached(Hub), reached(Pool)) == ({miner}, set(), set())


def test_a_staging_key_reaches_staging_entities_alone(reach, miner, account):
    staged = MinerFactory(account=account, environment="staging")
    assert reach("*:*", environment="staging")() == {staged}


def test_a_picked_entity_that_moved_to_another_environment_is_out_of_reach(reach, miner):
    reached = reach(f"*:miners/{miner.pk}")
    Miner.objects.filter(pk=miner.pk).update(environment="staging")
    assert reached() == set()


def test_a_client_row_across_environments_gives_no_reach(reach, hub, client):
    reached = reach("*:hubs/*")
    Miner.objects.filter(pk=client.pk).update(environment="staging")
    assert reached() == set()


def test_a_hub_of_another_environment_gives_no_reach_of_its_clients(reach, hub, client, account):
    reached = reach("*:*")
    Hub.objects.filter(pk=hub.pk).update(environment="staging")
    assert reached() == set()


def test_clients_of_another_environments_hubs_do_not_exist(reach, miner, account, other_account):
    hub = HubFactory(account=account, environment="staging")
    staged = HubClientFactory(hub=hub, miner__environment="staging", miner__account=other_account).miner
    assert reach("*:*")() == {miner}
    assert reach("*:*", environment="staging")() == {staged}


def test_a_pool_of_another_environment_gives_no_reach_of_what_mines_on_it(reach, pool, account):
    MinerFactory(account=account, pool=pool)
    reached = reach(f"*:pools/{pool.pk}")
    Pool.objects.filter(pk=pool.pk).update(environment="staging")
    assert reached() == set()


# Action classes

READ, WRITE, ADMIN = "entities:read", "workers:write", "settings:write"


@pytest.mark.parametrize(
    ("action", "reaching"),
    [("read", {READ}), ("write", {WRITE}), ("admin", {ADMIN}), ("*", {READ, WRITE, ADMIN})],
)
@pytest.mark.parametrize("target", ["miners/*", "miners/{}", "*"])
def test_an_action_reaches_for_its_own_class_alone(reach, miner, target, action, reaching):
    reached = reach(f"{action}:{target.format(miner.pk)}")
    for permission in (READ, WRITE, ADMIN):
        assert reached(Miner, permission) == ({miner} if permission in reaching else set()), permission


def test_rows_of_different_actions_reach_apart(reach, miner, account):
    other = MinerFactory(account=account)
    reached = reach("read:miners/*", f"write:miners/{other.pk}")
    assert (reached(Miner, READ), reached(Miner, WRITE), reached(Miner, ADMIN)) == ({miner, other}, {other}, set())


def test_a_hub_in_scope_for_writing_gives_no_reading_of_its_clients(reach, hub, client):
    reached = reach(f"write:hubs/{hub.pk}")
    assert (reached(Miner, READ), reached(Miner, WRITE)) == (set(), {client})


# Rows add up


def test_rows_of_several_kinds_add_up(reach, miner, hub, client, pool, account):
    on_pool = MinerFactory(account=account, pool=pool)
    MinerFactory(account=account)
    reached = reach(f"*:miners/{miner.pk}", f"*:hubs/{hub.pk}", f"*:pools/{pool.pk}")
    assert reached() == {miner, client, on_pool}


def test_narrowing_to_ids_changes_nothing_else(issue_key, miner, hub, client, account):
    outside = MinerFactory()
    MinerFactory(account=account)
    HubClientFactory(hub=hub)
    _, secret = issue_key("viewer", ["*:*"])
    grant = load_grant(key_format.parse(secret, prefix="ph").selector).grant
    narrowed = Miner.objects.within(grant, "entities:read", only=[client.pk, miner.pk, outside.pk, hub.pk])
    assert set(narrowed) == {client, miner}


def test_a_key_whose_last_scope_row_went_reaches_nothing(issue_key, reach, miner, client):
    key, secret = issue_key("viewer", [f"*:miners/{miner.pk}"])
    key.scopes.all().delete()
    grant = load_grant(key_format.parse(secret, prefix="ph").selector).grant
    assert not Entity.objects.within(grant, "entities:read").exists()
