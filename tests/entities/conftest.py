"""Northfold reading its own data with a key that may read all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

MOUNT = "/api/v1/"


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
