"""Staging twins of a whole world never meet production."""

from types import SimpleNamespace

import pytest

from entities.models import HubClient
from tests.entities.reach import ids, reaches, writes_of
from tests.factories import HubClientFactory, HubFactory, HubInvitationFactory, MinerFactory, PoolFactory, WorkerFactory

STAGING = "/staging/api/v1/"


@pytest.fixture
def worlds(account, other_account):
    """A pool, a hub and miners of one set of names, once in each environment."""

    def make(environment):
        place = {"account": account, "environment": environment}
        pool = PoolFactory(**place, name="Pool")
        miner, hub = MinerFactory(**place, name="Miner", pool=pool), HubFactory(**place, name="Hub", pool=pool)
        client = MinerFactory(account=other_account, environment=environment, name="Client", pool=pool)
        HubClientFactory(hub=hub, miner=client)
        workers = {WorkerFactory(miner=each, name="rig").pk for each in (miner, client)}
        return SimpleNamespace(pool=pool, hub=hub, miner=miner, client=client, workers=workers)

    return {environment: make(environment) for environment in ("production", "staging")}


@pytest.fixture
def calls(caller, worlds):
    """A key of each environment at its own endpoint."""

    def make(*scopes):
        return {
            "production": caller(*scopes),
            "staging": caller(*scopes, environment="staging", mount=STAGING),
        }

    return make


@pytest.mark.parametrize("scopes", [["*:*"], ["*:pools/*"], ["*:miners/*", "*:hubs/*", "*:pools/*"]])
def test_each_environments_key_reaches_its_own_twins_alone(worlds, calls, scopes):
    for environment, call in calls(*scopes).items():
        for place, world in worlds.items():
            for entity in (world.pool, world.hub, world.miner, world.client):
                assert reaches(call, entity) == (environment == place), (environment, place, entity)
                if environment != place:
                    for method, path in writes_of(entity):
                        assert call(method, path, {}).status_code == 404, (method, path)


def test_lists_of_each_environment_hold_its_own_twins_alone(worlds, calls):
    for environment, call in calls("*:*").items():
        world = worlds[environment]
        assert ids(call, "miners") == {world.miner.pk, world.client.pk}
        assert ids(call, "hubs") == ids(call, f"pools/{world.pool.pk}/hubs") == {world.hub.pk}
        assert ids(call, "pools") == {world.pool.pk}
        assert ids(call, f"pools/{world.pool.pk}/miners") == {world.miner.pk, world.client.pk}
        assert ids(call, f"hubs/{world.hub.pk}/clients") == {world.client.pk}
        assert ids(call, f"hubs/{world.hub.pk}/workers") <= world.workers


def test_a_hub_does_not_serve_another_environments_miner(worlds, calls, caller, other_account):
    call = calls("*:*")["production"]
    hub, twin = worlds["production"].hub, worlds["staging"]
    for miner in (twin.miner, twin.client):
        answer = call("POST", f"hubs/{hub.pk}/clients", {"miner": str(miner.pk), "commission": "0"})
        assert answer.status_code == 202  # as for any id that means nothing here
        owner = caller("*:*", account=miner.account, environment="staging", mount=STAGING)
        assert ids(owner, f"miners/{miner.pk}/invitations") == set()
        invitation = answer.json()["id"]
        assert owner("POST", f"miners/{miner.pk}/invitations/{invitation}/accept").status_code == 404
    assert HubClient.objects.filter(hub=hub).count() == 1


def test_a_client_row_across_environments_serves_nobody(worlds, calls):
    hub, miner = worlds["production"].hub, worlds["staging"].client
    HubClientFactory(hub=hub, miner=miner)
    for environment, call in calls("*:*").items():
        assert reaches(call, miner) == (environment == "staging")
    assert miner.pk not in ids(calls("*:*")["production"], f"hubs/{hub.pk}/clients")
    assert calls("*:*")["production"]("DELETE", f"hubs/{hub.pk}/clients/{miner.pk}").status_code == 404


def test_an_invitation_waits_while_its_miner_is_elsewhere(worlds, calls, caller, other_account):
    """A miner that moves takes no invitation along, and finds it again when it comes back."""
    miner = MinerFactory(account=other_account)
    invitation = HubInvitationFactory(hub=worlds["production"].hub, miner_id=miner.pk)
    path = f"miners/{miner.pk}/invitations"
    live = caller("*:*", account=other_account)
    staging = caller("*:*", account=other_account, environment="staging", mount=STAGING)
    type(miner).objects.filter(pk=miner.pk).update(environment="staging")
    assert ids(staging, path) == set()
    type(miner).objects.filter(pk=miner.pk).update(environment="production")
    assert ids(live, path) == {invitation.pk}
