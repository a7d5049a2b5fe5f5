"""What the API answers, held against its own description by schemathesis, with a real key of each level."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from io import StringIO
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.access_levels import CUSTOM, PERMISSIONS, AccessLevel
from apikeys import openapi
from tests.apikeys.worlds import ids_of, make_world

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
#: The four levels, and a custom role that holds every permission that a route here asks for.
LEVELS = [*(level.value for level in AccessLevel), CUSTOM]
#: A key that answers these is gone: each call gets one of its own.
ENDS_THE_KEY = "/key/revoke"


@schemathesis.serializer("application/x-ndjson")
def as_lines(context: Any, rows: Any) -> bytes:
    lines = rows if isinstance(rows, list) else [rows]
    return "\n".join(json.dumps(line) for line in lines).encode(errors="surrogatepass")


@schemathesis.serializer("text/csv")
def as_csv(context: Any, rows: Any) -> bytes:
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    columns = list(dict.fromkeys(str(column) for row in rows for column in row))
    text = StringIO()
    table = csv.writer(text)
    table.writerows([columns, *([row.get(column) for column in columns] for row in rows)])
    return text.getvalue().encode(errors="surrogatepass")


def without_security(document: dict[str, Any]) -> dict[str, Any]:
    """The keys here are real ones: none has to be made up."""
    document = deepcopy(document)
    for operations in document["paths"].values():
        for operation in operations.values():
            del operation["security"]
    return document


schema = schemathesis.openapi.from_dict(without_security(openapi.document()))
schema.app = get_wsgi_application()


@pytest.fixture
def one_connection(db: None) -> Iterator[None]:
    """The application works inside the test's transaction, and so may not close its connection after a request."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def world(one_connection, account, other_account, issue_key) -> dict[str, str]:
    """An id for each path parameter, of something that every key here reaches."""
    account.key_automation = account.keys_editable = True
    account.save()
    return make_world(account, other_account) | {"key_id": issue_key("viewer")[0].key_id}


@pytest.fixture
def keys(world: Any, issue_key: Any, make_role: Any) -> Callable[[schemathesis.Case, str], str]:
    """A secret of each level, and a fresh one for each call that ends the key."""
    secrets: dict[str, str] = {}
    everything = make_role(*PERMISSIONS, name="Everything")

    def secret(case: schemathesis.Case, level: str) -> str:
        if level not in secrets or case.operation.path == ENDS_THE_KEY:
            role = everything if level == CUSTOM else None
            _, secrets[level] = issue_key(level, role=role)
        return secrets[level]

    return secret


@pytest.fixture
def asked() -> set[str]:
    """What was read already. The same question of the same key has the same answer: nothing of the world changed."""
    return set()


def call(case: schemathesis.Case, secret: str, checks: list[Any], asked: set[str]) -> None:
    request: Any = {
        "base_url": "http://testserver/api/v1",
        "headers": {"Authorization": f"Bearer {secret}", "Accept-Encoding": "identity"},
    }
    if case.method == "GET":
        mode = case.meta.generation.mode if case.meta else None  # negative_data_rejection asks for it
        sent = case.as_transport_kwargs(**request)
        del sent["headers"]["X-Schemathesis-TestCaseId"]  # of each case another
        question = repr((sent, mode, [check.__name__ for check in checks]))
        if question in asked:
            return
        asked.add(question)
    answer = case.call(**request)
    case.validate_response(answer, checks=checks)


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_answer_is_undocumented(case: schemathesis.Case, world: dict[str, str], keys: Any, asked: set[str]) -> None:
    generated = dict(case.path_parameters or {})
    real = ids_of(generated, world)
    checks = [check for check in CHECKS if check is not negative_data_rejection]
    # An import answers 200 to wrong rows: it says which they were.
    strict = checks if case.operation.path.startswith("/ingest/") else CHECKS
    for level in LEVELS:
        call(case, keys(case, level), strict, asked)
        if real != generated:
            case.path_parameters = real
            # What was generated may have been wrong about the path alone, and the path is right now.
            call(case, keys(case, level), checks, asked)
            case.path_parameters = generated
