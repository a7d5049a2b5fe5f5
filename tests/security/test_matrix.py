"""Who gets what from every route of the pool data API: access level × route × method × reach.

The routes come from the URLconf, what each must ask for from the table below: a route that is missing from either
fails.
"""

from __future__ import annotations

import re
from itertools import product

import pytest
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver, path
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from config import urls as config_urls
from entities.api.base import EntityView
from entities.models import Entity, Miner
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

ANY_KEY = "any-key"

#: Route -> method -> permission. HEAD is GET's; every method that is not named is not allowed to anybody.
ROUTES: dict[str, dict[str, str]] = {
    "key": {"GET": ANY_KEY},
    "key/revoke": {"POST": ANY_KEY},
    "keys": {"GET": "keys:read", "POST": "keys:write"},
    "keys/<str:key_id>": {"GET": "keys:read", "PATCH": "keys:write"},
    "keys/<str:key_id>/usage": {"GET": "keys:read"},
    "keys/<str:key_id>/rotate": {"POST": "keys:write"},
    "keys/<str:key_id>/end-overlap": {"POST": "keys:write"},
    "keys/<str:key_id>/regenerate": {"POST": "keys:write"},
    "keys/<str:key_id>/disable": {"POST": "keys:write"},
    "keys/<str:key_id>/enable": {"POST": "keys:write"},
    "keys/<str:key_id>/revoke": {"POST": "keys:write"},
    "miners": {"GET": "entities:read", "POST": "settings:write"},
    "miners/charts": {"GET": "hashrate:read"},
    "miners/<str:entity_id>": {"GET": "entities:read", "PATCH": "settings:write"},
    "miners/<str:entity_id>/workers": {"GET": "workers:read"},
    "miners/<str:entity_id>/groups": {"GET": "workers:read", "POST": "workers:write"},
    "miners/<str:entity_id>/wallets": {"GET": "settings:read"},
    "miners/<str:entity_id>/hashrate": {"GET": "hashrate:read"},
    "miners/<str:entity_id>/stats": {"GET": "stats:read"},
    "miners/<str:entity_id>/balance": {"GET": "balance:read"},
    "miners/<str:entity_id>/earned-all-time": {"GET": "accruals:read"},
    "miners/<str:entity_id>/accruals": {"GET": "accruals:read"},
    "miners/<str:entity_id>/payments": {"GET": "payouts:read"},
    "miners/<str:entity_id>/hubs": {"GET": "settings:read"},
    "miners/<str:entity_id>/hubs/<str:hub_id>": {"DELETE": "settings:write"},
    "miners/<str:entity_id>/invitations": {"GET": "settings:read"},
    "miners/<str:entity_id>/invitations/<str:invitation_id>": {"DELETE": "settings:write"},
    "miners/<str:entity_id>/invitations/<str:invitation_id>/accept": {"POST": "settings:write"},
    "workers/stats": {"GET": "workers:read"},
    "workers/random-name": {"GET": "entities:read"},
    "workers/groups/<str:group_id>": {"GET": "workers:read", "PATCH": "workers:write", "DELETE": "workers:write"},
    "workers/<str:worker_id>": {"GET": "workers:read", "PATCH": "workers:write"},
    "wallets/<str:wallet_id>": {"GET": "settings:read"},
    "wallets/<str:wallet_id>/addresses": {"POST": "settings:write"},
    "hubs": {"GET": "entities:read"},
    "hubs/<str:entity_id>": {"GET": "entities:read", "PATCH": "hub-finance:write"},
    "hubs/<str:entity_id>/clients": {"GET": "clients:read", "POST": "clients:write"},
    "hubs/<str:entity_id>/clients/<str:miner_id>": {
        "GET": "clients:read",
        "PATCH": "hub-finance:write",
        "DELETE": "clients:write",
    },
    "hubs/<str:entity_id>/invitations": {"GET": "clients:read"},
    "hubs/<str:entity_id>/invitations/<str:invitation_id>": {"DELETE": "clients:write"},
    "hubs/<str:entity_id>/workers": {"GET": "workers:read"},
    "hubs/<str:entity_id>/stats": {"GET": "stats:read"},
    "hubs/<str:entity_id>/accruals": {"GET": "accruals:read"},
    "hubs/<str:entity_id>/payments": {"GET": "payouts:read"},
    "hubs/<str:entity_id>/finance": {"GET": "hub-finance:read"},
    "pools": {"GET": "entities:read"},
    "pools/<str:entity_id>": {"GET": "entities:read"},
    "pools/<str:entity_id>/stats": {"GET": "stats:read"},
    "pools/<str:entity_id>/charts": {"GET": "hashrate:read"},
    "pools/<str:entity_id>/hubs": {"GET": "entities:read"},
    "pools/<str:entity_id>/miners": {"GET": "entities:read"},
    "verify": {"POST": "verify:use"},
    "ingest/pools": {"PUT": "ingest:write"},
    "ingest/hubs": {"PUT": "ingest:write"},
    "ingest/miners": {"PUT": "ingest:write"},
    "ingest/workers": {"PUT": "ingest:write"},
    "ingest/hashrate": {"PUT": "ingest:write"},
    "ingest/accruals": {"PUT": "ingest:write"},
    "ingest/payouts": {"PUT": "ingest:write"},
}
#: Takes whatever no other route does.
NO_SUCH_ROUTE = ""

_WATCHING = {"stats:read", "hashrate:read", "workers:read"}
_MONEY = {"accruals:read", "payouts:read", "balance:read"}
_TREASURY = {"clients:read", "hub-finance:read", "hub-finance:write"}
_CONTROL = {"workers:write", "clients:write", "settings:read", "settings:write"}
LEVELS: dict[str, set[str]] = {
    "viewer": {ANY_KEY, "entities:read", *_WATCHING},
    "accountant": {ANY_KEY, "entities:read", *_MONEY},
    "treasurer": {ANY_KEY, "entities:read", *_WATCHING, *_MONEY, *_TREASURY},
    "administrator": {ANY_KEY, "entities:read", *_WATCHING, *_MONEY, *_TREASURY, *_CONTROL},
}

WRITES = ["POST", "PUT", "PATCH", "DELETE"]
METHODS = ["GET", "HEAD", *WRITES]
FACTORIES = {"miners": MinerFactory, "hubs": HubFactory, "pools": PoolFactory}
ENVIRONMENTS = ["production", "staging", "development"]


def routes_under(mount: str) -> list[str]:
    """Every route that the URLconf has under a mount, as it is written there."""

    def walk(patterns: list[URLPattern | URLResolver], prefix: str) -> list[str]:
        found = []
        for pattern in patterns:
            route = f"{prefix}{pattern.pattern}"
            found += walk(pattern.url_patterns, route) if isinstance(pattern, URLResolver) else [route]
        return found

    [resolver] = [each for each in get_resolver().url_patterns if str(each.pattern) == mount]
    return walk(resolver.url_patterns, "")


def mount_of(environment: str) -> str:
    return settings.PITHEAD_API_MOUNTS[environment]


def address(route: str, entity_id: object, environment: str = "production", part_id: object = "none") -> str:
    """The route's URL; ``part_id`` goes where it has a parameter for something that hangs on the entity."""
    query = {"miners/charts": f"?id={entity_id}", "workers/stats": f"?id={part_id}"}.get(route, "")
    path = re.sub(r"<str:\w+>", str(part_id), route.replace("<str:entity_id>", str(entity_id)))
    return f"/{mount_of(environment)}{path}{query}"


def make_part(route: str, entity: Entity) -> object:
    """The id of something that hangs on ``entity``, for the route's other parameter."""
    parts = {
        "hubs/<str:entity_id>/clients/": lambda: (
            HubClientFactory(hub=entity, miner__environment=entity.environment).miner_id
        ),
        "hubs/<str:entity_id>/invitations/": lambda: HubInvitationFactory(hub=entity).pk,
        "miners/<str:entity_id>/hubs/": lambda: HubClientFactory(miner=entity).hub_id,
        "miners/<str:entity_id>/invitations/": lambda: HubInvitationFactory(miner_id=entity.pk).pk,
        "workers/groups/": lambda: WorkerGroupFactory(miner=entity).pk,
        "workers/": lambda: WorkerFactory(miner=entity).pk,
        "wallets/": lambda: WalletFactory(entity=entity).pk,
    }
    return next((make() for start, make in parts.items() if route.startswith(start)), "none")


def expected_status(route: str, method: str, level: str, *, in_reach: bool) -> int:
    methods = ROUTES[route]
    asked = "GET" if method == "HEAD" else method
    if asked not in methods:
        return 405
    if methods[asked] not in LEVELS[level]:
        return 403
    names_an_entity = "<" in route or route in ("miners/charts", "workers/stats")
    return 200 if in_reach or not names_an_entity else 404


def allowed(route: str) -> set[str]:
    methods = set(ROUTES[route])
    return methods | {"HEAD"} if "GET" in methods else methods


def outcome(status: int, method: str) -> int:
    """The status, with all that a view says of a write that it let in as 200: the writes here have an empty body."""
    return 200 if method in WRITES and status in (200, 201, 202, 204, 400) else status


def test_the_table_lists_every_route_and_no_other():
    assert sorted(routes_under(mount_of("production"))) == sorted([*ROUTES, NO_SUCH_ROUTE])


def test_the_three_mounts_have_the_same_routes():
    assert set(settings.PITHEAD_API_MOUNTS) == set(ENVIRONMENTS)
    production, staging, development = (routes_under(mount_of(environment)) for environment in ENVIRONMENTS)
    assert production == staging == development


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("route", ROUTES)
def test_each_level_gets_what_the_table_says(issue_key, api, account, other_account, route, level):
    factory = FACTORIES.get(route.split("/")[0], MinerFactory)
    own, foreign = factory(account=account), factory(account=other_account)
    parts = {each.pk: make_part(route, each) for each in (own, foreign)}
    _, secret = issue_key(level)
    client = api(secret)
    expected, answered = {}, {}
    for method, in_reach in product(METHODS, [True, False]):
        if route == "key/revoke":  # each time with another key: the last one is gone
            client = api(issue_key(level)[1])
        entity_id = (own if in_reach else foreign).pk
        answer = client.generic(method, address(route, entity_id, part_id=parts[entity_id]))
        expected[method, in_reach] = expected_status(route, method, level, in_reach=in_reach)
        answered[method, in_reach] = outcome(answer.status_code, method)
        if answer.status_code >= 400:
            assert answer["Content-Type"] == "application/problem+json"
        if answer.status_code == 405:
            assert set(answer["Allow"].split(", ")) - {"OPTIONS"} == allowed(route)
        assert str(foreign.pk).encode() not in answer.content
    assert answered == expected


@pytest.mark.parametrize("route", ["miners", "hubs", "pools"])
def test_a_list_holds_what_is_in_reach_and_nothing_else(issue_key, api, account, other_account, route):
    own, _ = FACTORIES[route](account=account), FACTORIES[route](account=other_account)
    _, secret = issue_key("viewer")
    assert [row["id"] for row in api(secret).get(address(route, "")).json()["data"]] == [str(own.pk)]


@pytest.mark.parametrize("route", [route for route, methods in ROUTES.items() if "GET" in methods])
def test_head_answers_as_get_without_a_body(issue_key, api, account, route):
    entity = FACTORIES.get(route.split("/")[0], MinerFactory)(account=account)
    url = address(route, entity.pk, part_id=make_part(route, entity))
    _, secret = issue_key("administrator")
    get, head = (api(secret).generic(method, url) for method in ("GET", "HEAD"))
    assert (head.status_code, head["Content-Type"], head.content) == (get.status_code, get["Content-Type"], b"")


@pytest.mark.parametrize("route", [*ROUTES, NO_SUCH_ROUTE])
def test_without_a_key_there_is_nothing(account, route):
    entity = FACTORIES.get(route.split("/")[0], MinerFactory)(account=account)
    for method in METHODS:
        answer = APIClient().generic(method, address(route, entity.pk))
        assert answer.status_code == 401, method
        assert answer["WWW-Authenticate"] == 'Bearer realm="pithead"'
        if method != "HEAD":
            assert answer.json()["code"] == "missing_credentials"


@pytest.mark.parametrize("endpoint", ENVIRONMENTS)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_key_works_at_its_own_environments_endpoint_alone(issue_key, api, account, environment, endpoint):
    entities = {noun: factory(account=account, environment=environment) for noun, factory in FACTORIES.items()}
    _, secret = issue_key("administrator", environment=environment)
    for route, methods in ROUTES.items():
        if "GET" not in methods:
            continue
        entity = entities.get(route.split("/")[0], entities["miners"])
        answer = api(secret).get(address(route, entity.pk, endpoint, make_part(route, entity)))
        if environment == endpoint:
            # Managing keys is in no access level: tests/apikeys/test_keys_api_by_keys.py has keys that may.
            expected = 403 if methods["GET"] == "keys:read" else 200
            assert answer.status_code == expected, (route, answer.content)
        else:
            assert answer.status_code == 401, route
            assert answer.json()["code"] == "wrong_environment"
            assert 'error="invalid_token"' in answer["WWW-Authenticate"]


# Deny by default


class Forgetful(EntityView):
    entity = Miner

    def get(self, request, environment):
        return Response("a secret")


class Bare(APIView):
    def get(self, request, environment):
        return Response("a secret")


class Mistaken(Bare):
    permission = "entities:raed"


urlpatterns = [
    path(f"api/v1/{view.__name__.lower()}", view.as_view(), {"environment": "production"})
    for view in (Forgetful, Bare, Mistaken)
]
urlpatterns += config_urls.urlpatterns


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("route", ["forgetful", "bare", "mistaken"])
def test_a_view_that_names_no_real_permission_answers_nobody(issue_key, api, route):
    _, secret = issue_key("administrator")
    answer = api(secret).get(f"/api/v1/{route}")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
