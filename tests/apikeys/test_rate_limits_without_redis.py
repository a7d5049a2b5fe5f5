"""Rate limits while Redis is gone, hangs, forgets or closes a connection."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest
from django.conf import settings as django_settings

from apikeys import rate_limits
from apikeys.rate_limits import InProcess, InRedis, SharedOrOwn
from tests.apikeys.broken_redis import Proxy, listener_that_never_answers, nobody_listens

pytestmark = pytest.mark.usefixtures("nothing_counted")


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
