"""What is allowed is accepted, no more and no less: fifty connections, four processes where Redis counts for all."""

from __future__ import annotations

import http.client
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings

from tests.security.live_server import WORKERS, serving

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

LIMIT, BURST = 300, 100
CONNECTIONS = 50
REQUESTS = 12


def ask_on_one_connection(port: int, secret: str, policy: str) -> list[int]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    statuses = []
    for _ in range(REQUESTS):
        client.request("GET", "/api/v1/key", headers={"Authorization": f"Bearer {secret}"})
        answer = client.getresponse()
        body = answer.read()
        assert answer.status == 200 or b"rate_limited" in body, body
        assert answer.headers["RateLimit-Policy"] == policy
        statuses.append(answer.status)
    client.close()
    return statuses


def ask_on_all_connections(port: int, secret: str, policy: str) -> tuple[Counter[int], float]:
    """Status by how often it was met, and the seconds that it took."""
    began = time.monotonic()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        asked = [pool.submit(ask_on_one_connection, port, secret, policy) for _ in range(CONNECTIONS)]
        met = Counter(status for future in asked for status in future.result())
    return met, time.monotonic() - began


def test_as_many_are_accepted_as_are_allowed(tmp_path, issue_key):
    _, minutely = issue_key(rate_limit=LIMIT)
    _, bursting = issue_key(rate_limit=LIMIT, rate_burst=BURST)
    of_minute, of_burst = f'"minute";q={LIMIT};w=60', f'"burst";q={BURST};w=20'
    # Embedded, without Redis, Pithead is one process with threads.
    workers = WORKERS if settings.REDIS_URL else 1
    # A busy machine may take its time: what is tested is the count.
    unhurried = {"PITHEAD_REDIS_WAIT_SECONDS": "10"}
    with serving(tmp_path / "log", "--threads", "8", workers=workers, **unhurried) as (_, port):
        found = [
            (LIMIT, *ask_on_all_connections(port, minutely, of_minute)),
            (BURST, *ask_on_all_connections(port, bursting, f"{of_minute}, {of_burst}")),
        ]
    for allowed, met, took in found:
        assert sum(met.values()) == CONNECTIONS * REQUESTS
        assert set(met) == {200, 429}
        # One more is allowed every 0.2 seconds that it takes.
        assert allowed <= met[200] <= allowed + took * LIMIT / 60
