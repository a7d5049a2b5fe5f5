"""What a key over hubs reaches through the API: the hub, its clients of any account, their workers; and no more."""

import pytest

from entities.models import Miner
from tests.entities.reach import ids, reaches, writes_of
from tests.entities.test_miners import earn, pay
from tests.factories import HubClientFactory, HubFactory, MinerFactory, WorkerFactory


@pytest.fixture
def client(hub, other_account):
    return HubClientFactory(hub=hub, miner__account=other_account).miner


@pytest.fixture
def outside(hub, client, account, other_account):
    """What a key over ``hub`` alone has no business with, among it all that is near."""
    other_hub, foreign_hub = HubFactory(account=account), HubFactory(account=other_account)
    return [
        other_hub,
        foreign_hub,
        HubClientFactory(hub=other_hub).miner,
        HubClientFactory(hub=foreign_hub).miner,
        MinerFactory(account=account),
        MinerFactory(account=client.account),
    ]


@pytest.mark.parametrize("level", ["viewer", "accountant", "treasurer", "administrator"])
def test_a_key_of_each_level_over_a_hub_lists_it_and_its_clients(caller, hub, client, outside, level):
    call = caller(f"*:hubs/{hub.pk}", level=level)
    assert ids(call, "hubs") == {hub.pk}
    assert ids(call, "miners") == {client.pk}


def test_a_key_over_a_hub_reaches_nothing_else_on_any_route(caller, hub, client, outside):
    call = caller(f"*:hubs/{hub.pk}")
    assert reaches(call, hub)
    assert reaches(call, client)
    for entity in outside:
        assert not reaches(call, entity)
        for method, path in writes_of(entity):
            assert call(method, path, {}).status_code == 404, (method, path)


def test_a_key_over_all_hubs_reaches_each_ones_clients_and_no_own_miner(caller, hub, client, account, other_account):
    second = HubClientFactory(hub=HubFactory(account=account)).miner
    own, foreign = MinerFactory(account=account), HubClientFactory(hub__account=other_account).miner
    call = caller("*:hubs/*")
    assert ids(call, "miners") == {client.pk, second.pk}
    assert [reaches(call, miner) for miner in (client, second, own, foreign)] == [True, True, False, False]


def test_a_clients_workers_are_reached_through_the_hub(caller, hub, client, outside):
    worker = WorkerFactory(miner=client)
    for entity in outside:
        if entity.kind == "miner":
            WorkerFactory(miner=entity)
    call = caller(f"*:hubs/{hub.pk}", level="viewer")
    assert ids(call, f"hubs/{hub.pk}/workers") == ids(call, f"miners/{client.pk}/workers") == {worker.pk}


def test_a_picked_client_is_reached_without_its_hub(caller, hub, client):
    neighbour = HubClientFactory(hub=hub).miner
    call = caller(f"*:miners/{client.pk}")
    assert [reaches(call, entity) for entity in (client, hub, neighbour)] == [True, False, False]


def test_a_treasurer_over_a_hub_sees_its_money_and_its_clients_miner_data(caller, hub, client):
    earn(hub, "0.0001", client=client)
    earn(client, "0.01")
    paid = {each.pk: pay(each, "0.5", transaction=f"tx-{each.kind}") for each in (hub, client)}
    worker = WorkerFactory(miner=client)
    call = caller(f"*:hubs/{hub.pk}", level="treasurer")
    assert call("GET", f"hubs/{hub.pk}").json()["clients"] == 1
    assert ids(call, f"hubs/{hub.pk}/clients") == {client.pk}
    [finance] = call("GET", f"hubs/{hub.pk}/finance").json()["data"]
    assert (finance["client"], finance["earned"]) == (str(client.pk), "0.01000000")
    for noun, entity in (("hubs", hub), ("miners", client)):
        assert len(call("GET", f"{noun}/{entity.pk}/accruals").json()["data"]) == 1
        assert ids(call, f"{noun}/{entity.pk}/payments?type=payout") == {paid[entity.pk].pk}
        assert len(call("GET", f"{noun}/{entity.pk}/payments").json()["data"]) == 2
        assert ids(call, f"{noun}/{entity.pk}/workers") == {worker.pk}
        assert call("GET", f"{noun}/{entity.pk}/stats").json()["workers"]["online"] == 1
    assert call("GET", f"miners/{client.pk}/balance").status_code == 200
    assert call("GET", f"miners/charts?id={client.pk}").status_code == 200
    assert call("PATCH", f"hubs/{hub.pk}/clients/{client.pk}", {"commission": "0"}).status_code == 200
    assert call("PATCH", f"hubs/{hub.pk}", {"minimum_payout": "1"}).status_code == 200


@pytest.mark.parametrize(
    ("level", "sees"),
    [
        ("viewer", {"": 200, "/stats": 200, "/workers": 200, "/payments": 403, "/clients": 403, "/finance": 403}),
        ("accountant", {"": 200, "/stats": 403, "/workers": 403, "/payments": 200, "/clients": 403, "/finance": 403}),
    ],
)
def test_lesser_levels_over_a_hub_see_their_part(caller, hub, client, level, sees):
    call = caller(f"*:hubs/{hub.pk}", level=level)
    assert {part: call("GET", f"hubs/{hub.pk}{part}").status_code for part in sees} == sees


# Rows of different actions under one key


@pytest.fixture
def split(caller, hub, client, account):
    """An Administrator's key that reads all hubs and does everything with one miner."""
    own = MinerFactory(account=account)
    return own, caller("read:hubs/*", f"*:miners/{own.pk}")


def test_a_key_that_reads_hubs_and_does_all_with_one_miner_sees_both(split, hub, client, outside):
    own, call = split
    assert ids(call, "hubs") == {hub.pk, outside[0].pk}
    assert {own.pk, client.pk} <= ids(call, "miners")
    assert [reaches(call, entity) for entity in (hub, own, client)] == [True, True, True]
    assert [reaches(call, entity) for entity in outside] == [True, False, True, False, False, False]


def test_it_changes_that_miner_alone_and_is_told_why_not_the_others(split, hub, client, outside):
    own, call = split
    for method, path in writes_of(own):
        assert call(method, path, {}).status_code not in (401, 403, 404), (method, path)
    for entity in (hub, client, outside[0], outside[2]):  # what it reads
        for method, path in writes_of(entity):
            answer = call(method, path, {})
            assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied"), (method, path)
            assert "none of its scopes gives" in answer.json()["detail"]
    for entity in (outside[1], outside[3], outside[4], outside[5]):  # what it doesn't see
        for method, path in writes_of(entity):
            assert call(method, path, {}).status_code == 404, (method, path)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("read", {"GET": 200, "PATCH": 403, "POST": 403}),
        ("write", {"GET": 404, "PATCH": 200, "POST": 404}),
        ("admin", {"GET": 404, "PATCH": 404, "POST": 202}),
        ("*", {"GET": 200, "PATCH": 200, "POST": 202}),
    ],
)
def test_a_rows_action_gives_that_class_of_permissions_on_a_hub_and_no_other(caller, hub, client, action, expected):
    call = caller(f"{action}:hubs/{hub.pk}")
    unknown = {"miner": "01a1fd91-0000-7000-8000-000000000000", "commission": "0.01"}
    answered = {
        "GET": call("GET", f"hubs/{hub.pk}/clients"),
        "PATCH": call("PATCH", f"hubs/{hub.pk}/clients/{client.pk}", {"commission": "0"}),
        "POST": call("POST", f"hubs/{hub.pk}/clients", unknown),
    }
    assert {method: answer.status_code for method, answer in answered.items()} == expected


def test_being_served_gives_no_reach_of_the_hub_or_its_other_clients(caller, account, other_account):
    served = HubClientFactory(hub__account=other_account, miner__account=account)
    neighbour = HubClientFactory(hub=served.hub).miner
    call = caller("*:*")
    assert [reaches(call, entity) for entity in (served.miner, served.hub, neighbour)] == [True, False, False]
    assert ids(call, "miners") == {served.miner_id}
    assert Miner.objects.count() == 2
