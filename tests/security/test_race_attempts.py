"""Sixty failed attempts a minute are sixty over four processes, and a right secret passes among them."""

from __future__ import annotations

import http.client
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings

from apikeys import key_format
from tests.security.live_server import WORKERS, serving

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

LIMIT = 60
CONNECTIONS = 40
REQUESTS = 10
#: Of this address no other test's attempts are counted in Redis.
ATTACKER = f"2001:db8:{int(time.time()) >> 16 & 0xFFFF:x}:{int(time.time()) & 0xFFFF:x}::1"


def ask(client: http.client.HTTPConnection, secrets: list[str]) -> list[int]:
    """Ask on one connection, so always the same process."""
    met = []
    for secret in secrets:
        headers = {"Authorization": f"Bearer {secret}", "X-Forwarded-For": ATTACKER}
        client.request("GET", "/api/v1/key", headers=headers)
        answer = client.getresponse()
        body = answer.read()
        if answer.status == 429:
            assert b"rate_limited" in body
            assert int(answer.headers["Retry-After"]) >= 1
        met.append(answer.status)
    return met


def test_over_all_processes_no_more_fail_than_are_allowed_and_a_known_key_goes_on(tmp_path, issue_key):
    _, good = issue_key()
    # Embedded, without Redis, Pithead is one process with threads.
    workers = WORKERS if settings.REDIS_URL else 1
    variables = {
        "PITHEAD_REDIS_WAIT_SECONDS": "10",  # a busy machine may take its time: what is tested is the count
        "PITHEAD_TRUSTED_PROXIES": "1",
        "PITHEAD_FAILED_ATTEMPTS_PER_ADDRESS": str(LIMIT),
    }
    with serving(tmp_path / "log", "--threads", "8", workers=workers, **variables) as (_, port):
        connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=60) for _ in range(CONNECTIONS + 1)]
        assert ask(connections[-1], [good]) == [200]
        bad = [key_format.generate("production", prefix="ph").text for _ in range(CONNECTIONS * REQUESTS)]
        began = time.monotonic()
        with ThreadPoolExecutor(CONNECTIONS + 1) as pool:
            beside = pool.submit(ask, connections[-1], [good] * 50)
            asked = [pool.submit(ask, connections[n], bad[n::CONNECTIONS]) for n in range(CONNECTIONS)]
            met = Counter(status for future in asked for status in future.result())
            goes_on = set(beside.result())
        took = time.monotonic() - began
        for each in connections:
            each.close()
    assert sum(met.values()) == CONNECTIONS * REQUESTS
    assert set(met) == {401, 429}
    # One more is looked at for every second that it takes.
    assert LIMIT <= met[401] <= LIMIT + took * LIMIT / 60
    assert goes_on == {200}, "it worked a moment ago"
    log = (tmp_path / "log").read_text()
    assert log.count("Too many keys that are not valid") == 1
    assert not any(secret[20:63] in log for secret in [good, *bad])
