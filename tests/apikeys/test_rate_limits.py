"""Rate limits: one algorithm, in this process and in Redis, and what a program is told about them."""

from __future__ import annotations

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Thread
from urllib.parse import urlsplit
from uuid import uuid4

import hypothesis
import pytest
from django.conf import settings as django_settings
from hypothesis import given
from hypothesis import strategies as st

from accounts.audit import Actor
from accounts.models import Account
from apikeys import lifecycle, rate_limits
from apikeys.models import ApiKey
from apikeys.rate_limits import InProcess, InRedis, SharedOrOwn, interval_of

COMMAND = Actor.for_command("tests")
START = 1_795_262_400_000_000  # µs
SECOND = 1_000_000
#: Where there is a Redis, both; the algorithm has one set of tests.
STORES = {"in process": InProcess} | (
    {"in Redis": lambda clock: InRedis(django_settings.REDIS_URL, clock)} if django_settings.REDIS_URL else {}
)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def unhurried(settings):
    """What is tested is how it counts: a busy machine may take its time."""
    settings.PITHEAD_REDIS_WAIT_SECONDS = 10


@pytest.fixture(params=STORES)
def store(request, clock, unhurried):
    return STORES[request.param](clock)


@pytest.fixture(autouse=True)
def fresh():
    rate_limits.start_anew()
    yield
    rate_limits.start_anew()


# The algorithm


def test_a_minutes_requests_may_come_at_once_and_come_back_evenly(store, clock):
    key = uuid4()
    assert [store.take(key, 300, 300).allowed for _ in range(310)] == [True] * 300 + [False] * 10
    clock.now += 200_000 - 1
    assert not store.take(key, 300, 300).allowed
    clock.now += 1
    assert store.take(key, 300, 300).allowed
    assert not store.take(key, 300, 300).allowed
    clock.now += 3 * SECOND
    assert [store.take(key, 300, 300).allowed for _ in range(16)] == [True] * 15 + [False]
    clock.now += 3600 * SECOND
    assert [store.take(key, 300, 300).allowed for _ in range(301)] == [True] * 300 + [False]


def test_a_burst_may_come_at_once_and_the_minutes_pace_stays(store, clock):
    key = uuid4()
    assert [store.take(key, 300, 20).allowed for _ in range(25)] == [True] * 20 + [False] * 5
    clock.now += 200_000 - 1
    assert not store.take(key, 300, 20).allowed
    clock.now += 1
    assert [store.take(key, 300, 20).allowed for _ in range(2)] == [True, False]
    clock.now += 3600 * SECOND
    assert [store.take(key, 300, 20).allowed for _ in range(25)] == [True] * 20 + [False] * 5
    clock.now += 4 * SECOND  # all 20 are back, and at an even pace none is refused
    for _ in range(400):
        assert store.take(key, 300, 20).allowed
        clock.now += 200_000


def test_a_burst_of_one_is_an_even_pace(store, clock):
    key = uuid4()
    assert [store.take(key, 60, 1).allowed for _ in range(2)] == [True, False]
    assert (store.take(key, 60, 1).remaining, store.take(key, 60, 1).seconds) == (0, 1)
    clock.now += SECOND
    assert [store.take(key, 60, 1).allowed for _ in range(2)] == [True, False]


def test_what_is_left_of_a_burst_and_when_there_is_more_is_told(store, clock):
    key = uuid4()
    told = []
    for _ in range(4):
        peeked, taken = store.peek(key, 12, 3), store.take(key, 12, 3)
        assert peeked.allowed == taken.allowed
        told.append((taken.allowed, peeked.remaining, taken.remaining, taken.seconds))
    assert told == [(True, 3, 2, 5), (True, 2, 1, 10), (True, 1, 0, 5), (False, 0, 0, 5)]
    clock.now += 4_500_000
    assert (store.take(key, 12, 3).allowed, store.take(key, 12, 3).seconds) == (False, 1)


def test_a_burst_that_is_set_or_freed_holds_from_the_next_request(store, clock):
    key = uuid4()
    for _ in range(10):
        assert store.take(key, 60, 60).allowed
    assert not store.take(key, 60, 5).allowed
    clock.now += 6 * SECOND
    assert [store.take(key, 60, 5).allowed for _ in range(2)] == [True, False]
    assert [store.take(key, 60, 60).allowed for _ in range(56)] == [True] * 55 + [False]


def test_what_is_left_and_when_there_is_more_is_told(store, clock):
    key = uuid4()
    told = []
    for _ in range(4):
        taken = store.take(key, 3, 3)
        told.append((taken.allowed, taken.remaining, taken.seconds))
    assert told == [(True, 2, 20), (True, 1, 40), (True, 0, 20), (False, 0, 20)]
    clock.now += 19_500_000
    assert (store.take(key, 3, 3).allowed, store.take(key, 3, 3).seconds) == (False, 1)


def test_peeking_takes_nothing_and_says_what_taking_would(store, clock):
    key = uuid4()
    told = []
    for _ in range(4):
        peeked = [store.peek(key, 3, 3) for _ in range(3)]
        assert peeked == [peeked[0]] * 3
        told.append((peeked[0].allowed, peeked[0].remaining))
        assert store.take(key, 3, 3).allowed == peeked[0].allowed
    assert told == [(True, 3), (True, 2), (True, 1), (False, 0)]
    assert store.peek(key, 3, 3) == store.take(key, 3, 3)
    clock.now += 20 * SECOND
    assert (store.peek(key, 3, 3).allowed, store.take(key, 3, 3).allowed) == (True, True)


def test_keys_are_limited_apart(store):
    one, other = uuid4(), uuid4()
    assert store.take(one, 1, 1).allowed
    assert not store.take(one, 1, 1).allowed
    assert store.take(other, 1, 1).allowed


def test_another_limit_holds_from_the_next_request(store, clock):
    key = uuid4()
    for _ in range(10):
        store.take(key, 10, 10)
    assert not store.take(key, 10, 10).allowed
    assert not store.take(key, 5, 5).allowed
    clock.now += 61 * SECOND
    assert [store.take(key, 5, 5).allowed for _ in range(6)] == [True] * 5 + [False]


def test_a_clock_that_goes_back_shuts_nobody_out(store, clock):
    key = uuid4()
    assert store.take(key, 2, 2).allowed
    clock.now -= 20 * SECOND
    assert isinstance(store.take(key, 2, 2).allowed, bool)
    clock.now += 90 * SECOND
    assert store.take(key, 2, 2).allowed


def test_nobody_waits_for_a_clock_to_catch_up_that_was_set_back_by_hours(store, clock):
    key = uuid4()
    for _ in range(2):
        store.take(key, 2, 2)
    clock.now -= 3600 * SECOND
    assert [store.take(key, 2, 2).allowed for _ in range(3)] == [True, True, False]


WAITS = st.lists(st.integers(0, 30 * SECOND), min_size=1, max_size=60)


# The store and its clock serve all examples: each has a key of its own.
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@given(limit=st.sampled_from([1, 2, 3, 7, 60, 299, 1_000_000]), part=st.floats(0, 1), waits=WAITS)
def test_never_more_than_the_burst_at_once_and_the_limits_pace_after(store, clock, limit, part, waits):
    key = uuid4()
    burst = max(1, round(part * limit))
    accepted: list[int] = []
    for wait in waits:
        clock.now += wait
        taken = store.take(key, limit, burst)
        if taken.allowed:
            accepted.append(clock.now)
        else:  # what it is told is right: a moment later it is let in
            assert 0 < taken.seconds <= 60
            clock.now += taken.seconds * SECOND
            assert store.take(key, limit, burst).allowed
            accepted.append(clock.now)
        assert 0 <= taken.remaining < burst
    for first, begin in enumerate(accepted):
        for last in range(first, len(accepted)):
            assert last - first + 1 <= burst + (accepted[last] - begin) // interval_of(limit)


@pytest.mark.race
@pytest.mark.parametrize("burst", [300, 120])
def test_threads_together_get_the_burst_and_no_more(store, burst):
    key = uuid4()
    with ThreadPoolExecutor(20) as pool:
        taken = list(pool.map(lambda _: store.take(key, 300, burst).allowed, range(1000)))
    assert sum(taken) == burst


def test_keys_at_rest_take_no_memory(clock, monkeypatch):
    monkeypatch.setattr(InProcess, "MANY", 10)
    store = InProcess(clock)
    for _ in range(200):
        store.take(uuid4(), 60, 60)
        clock.now += SECOND
    assert len(store._due) <= 11


# What a program meets


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


# Redis goes away


@contextmanager
def listener_that_never_answers():
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        yield f"redis://127.0.0.1:{silent.getsockname()[1]}/0"


@contextmanager
def nobody_listens():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    yield f"redis://127.0.0.1:{port}/0"


@pytest.mark.parametrize("gone", [listener_that_never_answers, nobody_listens])
def test_without_redis_a_key_waits_once_and_is_limited_by_this_process(issue_key, api, client, settings, gone):
    _, secret = issue_key(rate_limit=3)
    first = api(secret).get("/api/v1/key")  # what is loaded once is loaded
    assert first.status_code == 200
    rate_limits.start_anew()
    with gone() as url:
        settings.REDIS_URL = url
        store = rate_limits._current()
        began = time.monotonic()
        assert store.take(uuid4(), 40, 40).allowed
        # 90 ms; the rest is a busy machine's.
        assert time.monotonic() - began < 0.1 + 0.4
        assert store.broken
        began = time.monotonic()
        for _ in range(100):
            store.take(uuid4(), 40, 40)
        assert time.monotonic() - began < 0.09 * 100 / 2, "no further request waits"
        assert [api(secret).get("/api/v1/key").status_code for _ in range(4)] == [200, 200, 200, 429]
        ready = client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["rate_limits"] == "per process, Redis does not answer"


def test_readyz_finds_out_that_redis_is_gone_before_any_request_does(db, client, settings):
    with nobody_listens() as settings.REDIS_URL:
        assert client.get("/readyz").json()["rate_limits"] == "per process, Redis does not answer"


class Proxy:
    """Stands in front of the real Redis, and can be hung: it takes what comes and passes nothing on."""

    def __init__(self, url: str) -> None:
        there = urlsplit(url)
        self.target = (there.hostname, there.port or 6379)
        self.passing = Event()
        self.passing.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = there._replace(netloc=f"127.0.0.1:{self.listener.getsockname()[1]}").geturl()
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                inside, _ = self.listener.accept()
            except OSError:
                return
            outside = socket.create_connection(self.target)
            for pair in ((inside, outside), (outside, inside)):
                Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.passing.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


if django_settings.REDIS_URL:

    @pytest.mark.race
    def test_a_hung_redis_costs_one_short_wait_and_is_used_again_within_five_seconds():
        proxy = Proxy(django_settings.REDIS_URL)
        store = SharedOrOwn(InRedis(proxy.url), InProcess())
        key = uuid4()
        assert [store.take(key, 2, 2).allowed for _ in range(3)] == [True, True, False]
        proxy.passing.clear()
        began = time.monotonic()
        assert store.take(key, 2, 2).allowed, "this process has counted none of it"
        assert time.monotonic() - began < 0.1 + 0.4
        assert store.broken
        time.sleep(1.5)  # asked in vain meanwhile
        assert store.broken
        began = time.monotonic()
        proxy.passing.set()
        while store.broken:
            assert time.monotonic() - began < 5
            time.sleep(0.05)
        assert not store.take(key, 2, 2).allowed, "Redis has kept the count"

    @pytest.mark.parametrize("burst", [60, 20])
    def test_what_is_kept_in_redis_goes_by_itself(unhurried, burst):
        import redis

        store, key = InRedis(django_settings.REDIS_URL), uuid4()
        server = redis.Redis.from_url(django_settings.REDIS_URL)
        for count in range(1, burst + 1):
            assert store.take(key, 60, burst).allowed
            assert 1000 * (count - 5) < server.pttl(f"pithead:rate:{key.hex}") <= 1000 * count
        assert server.get(f"pithead:rate:{key.hex}").isdigit()

    def test_a_redis_that_forgot_the_script_or_closed_the_connection_is_no_broken_one(unhurried):
        import redis

        store, key = InRedis(django_settings.REDIS_URL), uuid4()
        server = redis.Redis.from_url(django_settings.REDIS_URL)
        assert store.take(key, 60, 3).remaining == 2
        server.script_flush()
        assert store.take(key, 60, 3).remaining == 1
        server.client_kill_filter(_id=str(store._ask("CLIENT", "ID")))
        assert store.take(key, 60, 3).remaining == 0
        assert len(store._idle) == 1

    def test_an_answer_that_comes_too_late_is_no_other_requests():
        proxy = Proxy(django_settings.REDIS_URL)
        store = InRedis(proxy.url)
        spent = uuid4()
        assert store.take(spent, 1, 1).allowed
        proxy.passing.clear()
        with pytest.raises(store.errors):
            store.take(spent, 1, 1)
        proxy.passing.set()
        store.client.connection_pool.connection_kwargs["socket_timeout"] = 10
        assert store.take(uuid4(), 9, 9).remaining == 8

    def test_requests_that_failed_leave_no_connection_behind():
        with nobody_listens() as url:
            store = InRedis(url)
            for _ in range(150):  # more than the client would open
                with pytest.raises(store.errors, match="refused"):
                    store.take(uuid4(), 9, 9)
            assert len(store._idle) == 1
