"""Out of reach, unknown and malformed are one answer, byte for byte."""

from uuid import UUID

import pytest
from rest_framework.test import APIClient
from uuid_utils.compat import uuid7

from tests.factories import (
    HubFactory,
    MinerFactory,
    PoolFactory,
    WalletFactory,
    WorkerFactory,
    WorkerGroupFactory,
)

ROUTES = [
    ("miners", ["", "/workers", "/groups", "/wallets", "/hashrate", "/stats", "/balance", "/hubs", "/invitations"]),
    ("miners", ["/earned-all-time", "/accruals", "/payments"]),
    ("hubs", ["", "/clients", "/invitations", "/workers", "/stats", "/accruals", "/payments", "/finance"]),
    ("pools", ["", "/stats", "/charts", "/hubs", "/miners"]),
    ("workers", [""]),
    ("workers/groups", [""]),
    ("wallets", [""]),
]
PATHS = [f"/api/v1/{noun}/{{}}{part}" for noun, parts in ROUTES for part in parts]
FACTORIES = {
    "miners": MinerFactory,
    "hubs": HubFactory,
    "pools": PoolFactory,
    "workers": lambda **miner: WorkerFactory(miner=MinerFactory(**miner)),
    "workers/groups": lambda **miner: WorkerGroupFactory(miner=MinerFactory(**miner)),
    "wallets": lambda **miner: WalletFactory(entity=MinerFactory(**miner)),
}


def factory_of(path):
    """What makes the thing whose id the path takes."""
    noun = path.removeprefix("/api/v1/").partition("/{}")[0]
    return FACTORIES[noun]


@pytest.fixture
def client(api, issue_key, account):
    _, secret = issue_key("administrator")
    return api(secret)


def telling(answer):
    """All that an answer tells, but for the request's id."""
    headers = {name: value for name, value in answer.headers.items() if name != "X-Request-Id"}
    return answer.status_code, headers, answer.content.replace(answer["X-Request-Id"].encode(), b"")


@pytest.mark.parametrize("path", PATHS)
def test_out_of_reach_unknown_and_malformed_ids_get_the_same_bytes(client, account, other_account, path):
    factory = factory_of(path)
    foreign, staged = factory(account=other_account), factory(account=account, environment="staging")
    other_kind = (HubFactory if factory is not HubFactory else PoolFactory)(account=account)
    unknown = telling(client.get(path.format(uuid7())))
    assert unknown[0] == 404
    malformed = ["1", "None", "%00", "é", "null'--", foreign.pk.hex, f"{{{foreign.pk}}}", f"urn:uuid:{foreign.pk}"]
    for entity_id in [foreign.pk, staged.pk, other_kind.pk, UUID(int=0), *malformed, "x" * 3000]:
        assert telling(client.get(path.format(entity_id))) == unknown, entity_id


@pytest.mark.parametrize("path", PATHS)
def test_a_key_without_the_permission_learns_nothing_from_an_id(api, issue_key, account, other_account, path):
    factory = factory_of(path)
    own, foreign = factory(account=account), factory(account=other_account)
    for level in ("viewer", "accountant"):
        _, secret = issue_key(level)
        answers = [telling(api(secret).get(path.format(each))) for each in (own.pk, foreign.pk, uuid7(), "rubbish")]
        if answers[0][0] == 403:
            assert answers == [answers[0]] * 4
        else:
            assert answers[1:] == [answers[1]] * 3


@pytest.mark.parametrize(
    "path", ["", "nothing", "miners/", "hubs/x/y/z", "miners//workers", "%00", "é", "%ff", "a%0Ab", "pools/x/stats/"]
)
def test_an_unknown_route_is_not_found_to_a_key(client, path):
    for method in (client.get, client.post, client.delete, client.options):
        answer = method(f"/api/v1/{path}")
        assert answer.status_code == 404
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize("path", ["", "nothing", "miners/", "miners"])
def test_without_a_key_every_route_asks_for_one(db, path):
    answer = APIClient().get(f"/api/v1/{path}")
    assert (answer.status_code, answer.json()["code"]) == (401, "missing_credentials")


def test_parameters_are_judged_before_the_id(client, account, other_account):
    own, foreign = MinerFactory(account=account), MinerFactory(account=other_account)
    answers = [telling(client.get(f"/api/v1/miners/{pk}?x=1")) for pk in (own.pk, foreign.pk)]
    assert answers[0] == answers[1]
    assert answers[0][0] == 400
