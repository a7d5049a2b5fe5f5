from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from apikeys.models import ApiKey, RequestLog
from tests.factories import MinerFactory
from tests.people import fresh_code

KEYS = "/a/northfold/access/api-keys/"


@pytest.fixture
def miner(account):
    return MinerFactory(account=account, name="nf-0001")


@pytest.fixture
def filled(miner):
    """What an owner types to create a key, with a working code."""

    def fill(user: User, **changes: Any) -> dict[str, Any]:
        return {
            "name": "monitoring-bot",
            "environment": "production",
            "access_level": "viewer",
            "miners_all": "on",
            "expires_in": "90",
            "allowed_cidrs": "",
            "nonce": "nonce-of-this-page",
            "code": fresh_code(user),
            **changes,
        }

    return fill


@pytest.fixture
def called():
    """Write requests of a key into the log: ``called(key, "/api/v1/miners", status=403, times=3)``."""

    def call(key: ApiKey, route: str, *, times: int = 1, **fields: Any) -> None:
        row = {"at": timezone.now(), "method": "GET", "status": 200, "duration_ms": 12, "request_id": "r1", **fields}
        RequestLog.objects.bulk_create(
            RequestLog(account=key.account, key=key, route=route, **row) for _ in range(times)
        )

    return call
