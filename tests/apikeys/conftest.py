from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from apikeys import rate_limits


@pytest.fixture
def nothing_counted() -> Iterator[None]:
    """Whoever counts requests begins anew, before the test and after it."""
    rate_limits.start_anew()
    yield
    rate_limits.start_anew()


@pytest.fixture
def unhurried(settings: Any) -> None:
    """What is tested is how it counts: a busy machine may take its time."""
    settings.PITHEAD_REDIS_WAIT_SECONDS = 10
