"""What Northfold owns, and programs that read and write it with a key."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Account
from entities.models import Entity
from tests.factories import HubFactory, MinerFactory, PoolFactory

MOUNT = "/api/v1/"


@pytest.fixture
def miner(account: Account) -> Entity:
    return MinerFactory(account=account)


@pytest.fixture
def hub(account: Account) -> Entity:
    return HubFactory(account=account)


@pytest.fixture
def pool(account: Account) -> Entity:
    return PoolFactory(account=account)


@pytest.fixture
def read(issue_key, api) -> Callable[..., Any]:
    """The answer's JSON: ``read("miners")``, ``read("miners?limit=x", status=400)``."""
    _, secret = issue_key("administrator", ["*:*"])
    client = api(secret)

    def read(path: str, *, status: int = 200) -> Any:
        answer = client.get(MOUNT + path)
        assert answer.status_code == status, answer.content
        return answer.json()

    return read


@pytest.fixture
def caller(issue_key, api) -> Callable[..., Callable[..., Any]]:
    """What a program does with a key: ``caller("*:hubs/*", level="treasurer")("GET", "hubs")`` → the answer."""

    def caller(*scopes: str, level: str = "administrator", mount: str = MOUNT, **fields: Any) -> Callable[..., Any]:
        _, secret = issue_key(level, scopes or ("*:*",), **fields)
        client = api(secret)

        def call(method: str, path: str, body: Any = None) -> Any:
            content = "" if body is None else json.dumps(body)
            return client.generic(method, mount + path, content, content_type="application/json")

        return call

    return caller
