"""How requests are counted: one algorithm, in this process and in Redis."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import hypothesis
import pytest
from django.conf import settings as django_settings
from hypothesis import given
from hypothesis import strategies as st

from apikeys.rate_limits import InProcess, InRedis, interval_of
from tests.apikeys.clocks import SECOND, Clock

pytestmark = pytest.mark.usefixtures("nothing_counted")

#: Where there is a Redis, both; the algorithm has one set of tests.
STORES = {"in process": InProcess} | (
    {"in Redis": lambda clock: InRedis(django_settings.REDIS_URL, clock)} if django_settings.REDIS_URL else {}
)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=STORES)
def store(request, clock, unhurried):
    return STORES[request.param](clock)


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
