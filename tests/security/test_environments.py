"""Production, staging and development are three worlds: key × endpoint × entity, the whole cross product."""

from __future__ import annotations

from itertools import product

import pytest

from accounts.models import AuditEvent
from tests.security.test_matrix import ENVIRONMENTS, FACTORIES, ROUTES, address, mount_of

OF_AN_ENTITY = {
    noun: [
        route for route, methods in ROUTES.items() if route.startswith(f"{noun}/<str:entity_id>") and "GET" in methods
    ]
    for noun in FACTORIES
}


@pytest.fixture
def twins(account):
    """The same names in every environment: environment → noun → entity."""
    return {
        environment: {
            noun: factory(account=account, environment=environment, name=f"the {noun}")
            for noun, factory in FACTORIES.items()
        }
        for environment in ENVIRONMENTS
    }


@pytest.mark.parametrize(("own", "endpoint", "theirs"), list(product(ENVIRONMENTS, repeat=3)))
def test_a_key_meets_entities_of_its_own_environment_at_its_own_endpoint_alone(
    issue_key, api, twins, own, endpoint, theirs
):
    _, secret = issue_key("administrator", environment=own)
    client = api(secret)
    for noun, routes in OF_AN_ENTITY.items():
        assert routes
        for route in routes:
            answer = client.get(address(route, twins[theirs][noun].pk, endpoint))
            if own != endpoint:
                assert (answer.status_code, answer.json()["code"]) == (401, "wrong_environment"), route
                assert answer.json()["detail"].endswith(f"Use http://127.0.0.1:8000/{mount_of(own)}")
            elif own != theirs:
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), route
            elif "<" not in route.replace("<str:entity_id>", ""):
                assert answer.status_code == 200, route


@pytest.mark.parametrize("own", ENVIRONMENTS)
@pytest.mark.parametrize("noun", FACTORIES)
def test_a_list_holds_its_own_environment_alone(issue_key, api, twins, own, noun):
    _, secret = issue_key("viewer", environment=own)
    rows = api(secret).get(f"/{mount_of(own)}{noun}").json()["data"]
    assert [row["id"] for row in rows] == [str(twins[own][noun].pk)]


@pytest.mark.parametrize(("own", "endpoint"), [pair for pair in product(ENVIRONMENTS, repeat=2) if len(set(pair)) == 2])
def test_nothing_is_changed_through_another_environments_endpoint(issue_key, api, twins, own, endpoint):
    _, secret = issue_key("administrator", environment=own)
    before = AuditEvent.objects.count()
    for route, methods in ROUTES.items():
        noun = route.split("/")[0]
        for method in set(methods) - {"GET"}:
            entity = twins[endpoint].get(noun) or twins[endpoint]["miners"]
            answer = api(secret).generic(method, address(route, entity.pk, endpoint))
            assert (answer.status_code, answer.json()["code"]) == (401, "wrong_environment"), (method, route)
    assert AuditEvent.objects.count() == before


@pytest.mark.parametrize(("own", "theirs"), [pair for pair in product(ENVIRONMENTS, repeat=2) if len(set(pair)) == 2])
def test_nothing_of_another_environment_can_be_changed(issue_key, api, twins, own, theirs):
    _, secret = issue_key("administrator", environment=own)
    before = AuditEvent.objects.count()
    for route, methods in ROUTES.items():
        noun = route.split("/")[0]
        for method in set(methods) - {"GET"}:
            if "<str:entity_id>" in route and noun in FACTORIES:
                answer = api(secret).generic(method, address(route, twins[theirs][noun].pk, own))
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, route)
    assert AuditEvent.objects.count() == before
