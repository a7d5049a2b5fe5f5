"""The API's description is whole: every operation, what it needs, takes and answers."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.urls import get_resolver

from accounts.access_levels import PERMISSIONS
from apikeys import openapi
from apikeys.permissions import ANY_KEY
from tests.security.test_matrix import NO_SUCH_ROUTE, ROUTES, routes_under

DOCUMENT = openapi.document()
OPERATIONS = [
    (path, method, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]
NAMES = [f"{method} {path}" for path, method, _ in OPERATIONS]


def view_of(route):
    for pattern in get_resolver().url_patterns:
        if str(pattern.pattern) == "api/v1/":
            for each in pattern.url_patterns:
                for leaf in getattr(each, "url_patterns", [each]):
                    if str(leaf.pattern) == route:
                        return leaf.callback.cls
    raise LookupError(route)


def test_it_is_openapi_3_1_with_a_server_for_each_environment():
    assert DOCUMENT["openapi"] == "3.1.0"
    assert [server["url"].partition("8000")[2] for server in DOCUMENT["servers"]] == [
        "/api/v1",
        "/staging/api/v1",
        "/development/api/v1",
    ]


def test_every_route_and_method_is_in_it_and_nothing_else():
    described = sorted((path.count("/"), method.upper()) for path, method, _ in OPERATIONS)
    routes = [(f"/{route}".count("/"), method) for route, methods in ROUTES.items() for method in methods]
    assert described == sorted(routes)
    assert set(routes_under("api/v1/")) - {NO_SUCH_ROUTE} == set(ROUTES)


@pytest.mark.parametrize("route", ROUTES)
def test_every_operation_is_described_in_its_own_words(route):
    view = view_of(route)
    for method in ROUTES[route]:
        own = inspect.getattr_static(view, method.lower()).__doc__ or view.__dict__.get("__doc__")
        assert own, f"{view.__name__}.{method.lower()} says nothing of itself"
        assert len(own.split("\n", 1)[0]) < 90, own


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=NAMES)
def test_an_operation_names_its_permission_its_answers_and_examples(path, method, operation):
    assert operation["x-permission"] in {*PERMISSIONS, ANY_KEY}
    assert operation["x-permission"] == ANY_KEY or operation["x-permission"] in operation["description"]
    by_people = [{"session": [], "account": []}] if path == "/keys" or path.startswith("/keys/") else []
    assert operation["security"] == [{"apiKey": []}, *by_people]
    answers = operation["responses"]
    assert {"400", "401", "403", "503"} <= set(answers)
    assert "{" not in path or "404" in answers
    assert any(status.startswith("2") for status in answers)
    for status, answer in answers.items():
        if status in ("204", "304"):
            assert "content" not in answer
            continue
        [(content_type, media)] = answer["content"].items()
        if int(status) >= 400:
            assert content_type == "application/problem+json"
            assert media["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert media["examples"]
        else:
            assert content_type == "application/json"
            assert media["schema"]
            assert media["example"] not in (None, {}, [])


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=NAMES)
def test_a_parameter_says_what_it_is_for(path, method, operation):
    for parameter in operation.get("parameters", []):
        assert parameter["description"], parameter["name"]
        assert parameter["schema"]


def test_operations_have_names_of_their_own():
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert sorted(set(names)) == sorted(names)


def test_the_scheme_is_a_bearer_key():
    assert DOCUMENT["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"


def test_two_threads_that_ask_first_both_get_it():
    """In a process of its own: here it was made long ago."""
    program = """
import django; django.setup()
from concurrent.futures import ThreadPoolExecutor
from apikeys import openapi
with ThreadPoolExecutor(4) as threads:
    made = [each.result() for each in [threads.submit(openapi.document) for _ in range(4)]]
assert all(each is made[0] for each in made)
"""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "DEBUG": "True"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=settings.BASE_DIR)


def test_making_it_warns_of_nothing(capsys):
    openapi._make.__wrapped__()
    assert "Warning" not in capsys.readouterr().err


def test_everybody_may_read_it_and_need_not_read_it_twice(client, db):
    answer = client.get("/docs/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == DOCUMENT
    assert client.get("/docs/openapi.json", headers={"If-None-Match": answer["ETag"]}).status_code == 304
    page = client.get("/docs/")
    assert page.status_code == 200
    policy = page["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "script-src 'self';" in f"{policy};"
