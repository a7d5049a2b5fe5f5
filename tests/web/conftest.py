from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
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
