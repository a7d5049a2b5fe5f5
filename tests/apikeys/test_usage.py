"""How a key is used, read back from what the request log wrote."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apikeys import request_rows, usage
from tests.apikeys.test_request_log import make_entry

NOW = datetime(2026, 11, 21, 0, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def frozen():
    with time_machine.travel(NOW, tick=False):
        yield


def used(key, *moments, **fields):
    request_rows.write([make_entry(key, at=at, **fields) for at in moments])


def test_days_are_utc_and_end_today_and_days_of_no_use_are_zero(issue_key):
    key, _ = issue_key()
    used(key, NOW, NOW - timedelta(minutes=31), NOW - timedelta(hours=20))
    used(key, NOW - timedelta(minutes=40), status=403)
    used(key, NOW - timedelta(days=3))  # the first minutes of the day before the span
    [days] = usage.daily([key], days=3).values()
    assert days == [
        usage.Day(date(2026, 11, 19), 0, 0),
        usage.Day(date(2026, 11, 20), 3, 1),
        usage.Day(date(2026, 11, 21), 1, 0),
    ]


def test_days_of_many_keys_are_one_query(issue_key):
    keys = [issue_key()[0] for _ in range(3)]
    used(keys[1], NOW)
    with CaptureQueriesContext(connection) as captured:
        days = usage.daily(keys)
    assert len(captured) == 1
    assert {pk: sum(day.requests for day in of_key) for pk, of_key in days.items()} == {
        keys[0].pk: 0, keys[1].pk: 1, keys[2].pk: 0,
    }  # fmt: skip
    assert all(len(of_key) == usage.DAYS_SHOWN for of_key in days.values())


def test_days_of_no_keys_are_none(db):
    assert usage.daily([]) == {}


def test_requests_come_newest_first_and_are_the_keys_own(issue_key):
    key, other = issue_key()[0], issue_key()[0]
    used(key, NOW - timedelta(hours=1), NOW, NOW - timedelta(hours=2))
    used(other, NOW)
    rows = usage.recent(key)
    assert [row.at for row in rows] == [NOW - timedelta(hours=back) for back in range(3)]
    with CaptureQueriesContext(connection) as captured:
        shown = [str(row.secret) for row in usage.recent(key)[:2]]
    assert len(captured) == 1
    assert shown == [str(key.secrets.get())] * 2


def test_routes_are_told_with_their_use_since_then_most_called_first(issue_key):
    key, _ = issue_key()
    old, since = NOW - timedelta(days=8), NOW - timedelta(days=7)
    used(key, since, NOW, route="/api/v1/hubs")
    used(key, NOW, route="/api/v1/miners/{miner_id}", method="PATCH", status=403)
    used(key, NOW, route="/api/v1/miners/{miner_id}")
    used(key, old, old, old, old, route="/api/v1/hubs")
    assert usage.routes_since(key, since) == [
        usage.RouteUse("GET", "/api/v1/hubs", 2, 0, NOW),
        usage.RouteUse("GET", "/api/v1/miners/{miner_id}", 1, 0, NOW),
        usage.RouteUse("PATCH", "/api/v1/miners/{miner_id}", 1, 1, NOW),
    ]


def test_addresses_are_told_most_used_first_and_unknown_ones_not(issue_key):
    key, _ = issue_key()
    used(key, NOW, NOW, address="2001:db8::1")
    used(key, NOW, address="203.0.113.9")
    used(key, NOW, NOW, NOW, address=None)
    used(key, NOW - timedelta(days=2), address="192.0.2.1")
    assert usage.addresses_since(key, NOW - timedelta(days=1)) == ["2001:db8::1", "203.0.113.9"]
