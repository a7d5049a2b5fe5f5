"""Bad input on every route: a clear 4xx problem that names the field, never a 5xx and never a guess."""

from __future__ import annotations

import json

import pytest

from accounts.access_levels import AUTOMATION_PERMISSIONS, CUSTOM, LEVEL_PERMISSIONS, AccessLevel
from apikeys.parsers import MAX_BODY_BYTES, MAX_BULK_BYTES
from tests.apikeys.worlds import make_world
from tests.security.test_matrix import ROUTES, address

READS = [route for route, methods in ROUTES.items() if "GET" in methods]
WRITES = [(route, method) for route, methods in ROUTES.items() for method in methods if method != "GET"]
BODIES = [(route, method) for route, method in WRITES if method != "DELETE"]
OF_AN_ENTITY = [route for route in READS if "<str:entity_id>" in route]


@pytest.fixture
def world(account, other_account, issue_key):
    return make_world(account, other_account) | {"key_id": issue_key()[0].key_id}


@pytest.fixture
def client(account, issue_key, make_role, api, world):
    """An Administrator key that manages keys, too."""
    account.key_automation = True
    account.save()
    role = make_role(*LEVEL_PERMISSIONS[AccessLevel.ADMINISTRATOR], *AUTOMATION_PERMISSIONS)
    return api(issue_key(CUSTOM, role=role)[1])


def url(route, world):
    """The route, of things that are there."""
    noun = route.split("/")[0].removesuffix("s")
    return address(route, world.get(f"{noun}_id", ""), part_id=world["key_id"] if noun == "key" else "none")


def assert_refused(answer, status=400, field=None):
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), answer.content
    problem = answer.json()
    assert problem["detail"]
    if field:
        assert list(problem["errors"]) == [field]
        assert problem["errors"][field][0]


def is_list(client, route, world):
    return "page" in client.get(url(route, world)).json()


@pytest.mark.parametrize("route", READS)
def test_a_parameter_that_a_route_does_not_know_is_named(client, world, route):
    separator = "&" if "?" in url(route, world) else "?"
    assert_refused(client.get(f"{url(route, world)}{separator}colour=red"), field="colour")


@pytest.mark.parametrize("value", ["0", "501", "-1", "1.5", "1e2", "ten", "", "9" * 400, "%00", "٣"])
@pytest.mark.parametrize("route", ["miners", "hubs/<str:entity_id>/accruals", "pools"])
def test_an_absurd_limit_is_refused(client, world, route, value):
    assert_refused(client.get(f"{url(route, world)}?limit={value}"), field="limit")


@pytest.mark.parametrize("route", READS)
def test_a_cursor_of_another_list_is_refused_by_every_list(client, world, route, issue_key, api):
    if not is_list(client, route, world):
        assert_refused(
            client.get(f"{url(route, world)}{'&' if '?' in url(route, world) else '?'}cursor=x"), field="cursor"
        )
        return
    other = "hubs" if route == "miners" else "miners"
    from tests.factories import HubFactory, MinerFactory

    account = issue_key("administrator")[0].account
    for factory in (HubFactory, MinerFactory):
        factory.create_batch(2, account=account)
    cursor = client.get(f"/api/v1/{other}?limit=1").json()["page"]["next"]
    assert cursor
    for text in (cursor, "x", "%00", "x" * 5000, cursor[:-1]):
        assert_refused(client.get(f"{url(route, world)}?cursor={text}"), field="cursor")


@pytest.mark.parametrize("route", OF_AN_ENTITY)
@pytest.mark.parametrize(
    "text", ["%00", "1", "x" * 3000, "..%2f", "%F0%9F%94%91", "null", "01a1fe2c319275258048510237b4a8ed"]
)
def test_an_id_that_is_none_is_not_found(client, world, route, text):
    assert_refused(client.get(f"/api/v1/{route.replace('<str:entity_id>', text)}"), 404)


@pytest.mark.parametrize("route", OF_AN_ENTITY)
def test_an_id_of_another_kind_is_not_found(client, world, route):
    noun = route.split("/")[0].removesuffix("s")
    others = [value for name, value in world.items() if name in ("miner_id", "hub_id", "pool_id") and noun not in name]
    assert len(others) >= 2
    for other in others:
        assert_refused(client.get(f"/api/v1/{route.replace('<str:entity_id>', other)}"), 404)


@pytest.mark.parametrize(("route", "method"), WRITES)
def test_a_body_of_ten_megabytes_is_refused(client, world, route, method):
    answer = client.generic(method, url(route, world), b"x" * 10_000_000, content_type="application/json")
    assert_refused(answer, 413)
    assert f"{MAX_BULK_BYTES:,}" in answer.json()["detail"]


def takes_a_body(client, route, method, world):
    return client.generic(method, url(route, world), b"{", content_type="application/json").status_code == 400


def nested(depth):
    return b'{"name":' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize(("route", "method"), BODIES)
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b"7",
        b'"text"',
        b'{"name": NaN}',
        b'{"name": 1e999, "limit": Infinity}',
        b"\xff\xfe",
        b'{"name": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"name": ' + b"9" * 5000 + b"}",
        nested(500),
        nested(20_000),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_is_no_object_of_this_route_is_refused(client, world, route, method, body):
    if takes_a_body(client, route, method, world):
        assert_refused(client.generic(method, url(route, world), body, content_type="application/json"))


@pytest.mark.parametrize(("route", "method"), BODIES)
def test_an_unknown_field_is_named(client, world, route, method):
    if not takes_a_body(client, route, method, world):
        return
    answer = client.generic(method, url(route, world), json.dumps({"colour": "red"}), content_type="application/json")
    assert answer.status_code == 400
    assert "colour" in json.dumps(answer.json()["errors"])


@pytest.mark.parametrize(("route", "method"), BODIES)
def test_another_content_type_is_named(client, world, route, method):
    if takes_a_body(client, route, method, world):
        for content_type in ("text/plain", "application/xml", "multipart/form-data; boundary=x", "", "a/b/c", "\x00"):
            answer = client.generic(method, url(route, world), b"name=x", content_type=content_type)
            assert_refused(answer, 415)


@pytest.mark.parametrize(("route", "method"), BODIES)
def test_a_body_over_the_routes_own_limit_is_refused(client, world, route, method):
    if takes_a_body(client, route, method, world) and not route.startswith("ingest/"):
        body = json.dumps({"name": "x" * MAX_BODY_BYTES})
        assert_refused(client.generic(method, url(route, world), body, content_type="application/json"), 413)
