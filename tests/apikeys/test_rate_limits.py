"""What a program is told of its rate limit, and when it is refused."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest

from accounts.audit import Actor
from accounts.models import Account
from apikeys import lifecycle
from apikeys.models import ApiKey
from apikeys.rate_limits import InProcess, interval_of
from tests.apikeys.clocks import SECOND, Clock

COMMAND = Actor.for_command("tests")

pytestmark = pytest.mark.usefixtures("nothing_counted")


def policies(text: str) -> list[tuple[str, dict[str, int]]]:
    """Read a List of such items."""
    return [structured(item) for item in text.split(", ")]


def structured(text: str) -> tuple[str, dict[str, int]]:
    """Read ``"minute";r=2;t=20`` (RFC 9651: a String with Integer parameters)."""
    match = re.fullmatch(r'"([a-z]+)"((?:;[a-z]+=\d+)+)', text)
    assert match, text
    return match[1], {name: int(value) for name, value in re.findall(r";([a-z]+)=(\d+)", match[2])}


def test_every_answer_of_a_limited_key_tells_its_limit_and_the_last_one_when_to_come_back(issue_key, api):
    _, secret = issue_key(rate_limit=3)
    client = api(secret)
    left = []
    for path in ("/api/v1/key", "/api/v1/miners/none", "/api/v1/miners/none/accruals"):
        answer = client.get(path)
        assert answer.status_code != 429
        assert structured(answer["RateLimit-Policy"]) == ("minute", {"q": 3, "w": 60})
        left.append(structured(answer["RateLimit"])[1]["r"])
        assert "Retry-After" not in answer
    assert left == [2, 1, 0]
    refused = client.get("/api/v1/key")
    assert refused.status_code == 429
    assert refused["Content-Type"] == "application/problem+json"
    assert refused.json()["code"] == "rate_limited"
    seconds = int(refused["Retry-After"])
    assert 0 < seconds <= 20
    assert f"may make 3 requests a minute. Wait {seconds} seconds" in refused.json()["detail"]
    assert structured(refused["RateLimit"]) == ("minute", {"r": 0, "t": seconds})
    assert refused["Cache-Control"] == "no-store"


def test_a_key_without_a_limit_is_told_of_none(issue_key, api):
    _, secret = issue_key()
    answer = api(secret).get("/api/v1/key")
    assert "RateLimit" not in answer
    assert "RateLimit-Policy" not in answer
    assert answer.json()["limits"]["requests_per_minute"] is None


@pytest.mark.parametrize(
    ("own", "default", "most", "limit"),
    [
        (None, 5, None, 5),
        (7, 5, None, 7),
        (7, None, None, 7),
        (7, 5, 6, 6),
        (None, 5, 4, 4),
        (None, None, 6, 6),
        (7, 5, 9, 7),
        (None, 5, 9, 5),
    ],
)
def test_the_keys_own_limit_goes_before_the_accounts_default_and_the_plan_before_both(
    issue_key, api, own, default, most, limit
):
    Account.objects.update(default_rate_limit=default)
    _, secret = issue_key(rate_limit=own)
    Account.objects.update(max_rate_limit=most)
    client = api(secret)
    answer = client.get("/api/v1/key")
    assert structured(answer["RateLimit-Policy"])[1]["q"] == limit
    assert answer.json()["limits"]["requests_per_minute"] == limit
    statuses = [client.get("/api/v1/key").status_code for _ in range(limit)]
    assert statuses == [200] * (limit - 1) + [429]


def test_a_burst_is_told_beside_the_limit_and_counted_down(issue_key, api):
    _, secret = issue_key(rate_limit=60, rate_burst=3)
    client = api(secret)
    answer = client.get("/api/v1/key")
    assert policies(answer["RateLimit-Policy"]) == [("minute", {"q": 60, "w": 60}), ("burst", {"q": 3, "w": 3})]
    assert structured(answer["RateLimit"]) == ("burst", {"r": 2, "t": 1})
    limits = answer.json()["limits"]
    assert (limits["requests_per_minute"], limits["requests_at_once"]) == (60, 3)
    for _ in range(10):
        refused = client.get("/api/v1/key")
        if refused.status_code == 429:
            break
    assert refused.status_code == 429
    assert structured(refused["RateLimit"]) == ("burst", {"r": 0, "t": 1})
    assert refused["Retry-After"] == "1"
    assert "may make 60 requests a minute, 3 of them at once. Wait 1 second " in refused.json()["detail"]


@pytest.mark.parametrize(("limit", "burst"), [(300, 20), (300, 7), (7, 3), (1_000_000, 1), (59, 58)])
def test_a_window_never_promises_more_than_comes_back(limit, burst):
    taken = InProcess(Clock()).take(uuid4(), limit, burst)
    (_, minute), (_, of_burst) = policies(taken.headers()["RateLimit-Policy"])
    assert minute == {"q": limit, "w": 60}
    assert of_burst["q"] == burst
    # Whole seconds, and no more of them than it takes.
    assert 0 <= of_burst["w"] * SECOND - burst * interval_of(limit) < SECOND


@pytest.mark.parametrize(("burst", "limit", "at_once"), [(None, 6, 6), (6, 6, 6), (4, 6, 4), (9, 6, 6)])
def test_a_whole_minutes_burst_is_none_and_one_above_a_lowered_limit_shrinks(issue_key, api, burst, limit, at_once):
    _, secret = issue_key(rate_limit=10, rate_burst=burst)
    ApiKey.objects.update(rate_limit=limit)
    answer = api(secret).get("/api/v1/key")
    assert answer.json()["limits"]["requests_at_once"] == at_once
    names = [name for name, _ in policies(answer["RateLimit-Policy"])]
    assert names == (["minute", "burst"] if at_once < limit else ["minute"])
    assert structured(answer["RateLimit"])[1]["r"] == at_once - 1


def test_a_burst_outlives_the_limit_that_it_was_of_and_says_nothing_then(issue_key, api):
    Account.objects.update(default_rate_limit=10)
    _, secret = issue_key(rate_burst=4)
    Account.objects.update(default_rate_limit=None)
    answer = api(secret).get("/api/v1/key")
    assert "RateLimit" not in answer
    assert answer.json()["limits"]["requests_at_once"] is None


def test_both_secrets_of_a_key_share_its_limit(issue_key, api):
    key, old = issue_key(rate_limit=2)
    new = lifecycle.rotate(key, actor=COMMAND)
    statuses = [api(secret).get("/api/v1/key").status_code for secret in (old, new, old, new)]
    assert statuses == [200, 200, 429, 429]


def test_a_refused_key_uses_up_nothing_and_a_missing_permission_does(issue_key, api):
    """The order is that of DESIGN's "One request": address, rate, permission."""
    _, secret = issue_key(rate_limit=1)
    ApiKey.objects.update(allowed_cidrs=["192.0.2.0/24"])
    for _ in range(3):
        answer = api(secret).get("/api/v1/key")
        assert answer.json()["code"] == "address_not_allowed"
        assert "RateLimit" not in answer
    ApiKey.objects.update(allowed_cidrs=[])
    assert api(secret).get("/api/v1/miners/none/accruals").json()["code"] == "permission_denied"
    assert api(secret).get("/api/v1/miners/none/accruals").json()["code"] == "rate_limited"
