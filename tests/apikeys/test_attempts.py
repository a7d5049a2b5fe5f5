"""Failed attempts are limited by address and by selector, before any work; nobody with a right secret is locked out."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apikeys import attempts, key_format, lifecycle, rate_limits, registered, signing
from tests.apikeys.broken_redis import nobody_listens
from tests.conftest import COMMAND
from tests.factories import MinerFactory

ATTACKER, HOLDER, NEIGHBOUR = "198.51.100.66", "203.0.113.7", "192.0.2.9"
OLD = "zq-7Kd93jsLq02x-Export"
STORES = ["in process", *(["in Redis"] if django_settings.REDIS_URL else [])]


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture(params=STORES)
def store(request, settings):
    """Both places where failures are counted; Redis's is emptied of what other tests counted."""
    settings.PITHEAD_REDIS_WAIT_SECONDS = 10  # a busy machine may take its time
    settings.REDIS_URL = django_settings.REDIS_URL if request.param == "in Redis" else ""
    forget_counts()
    yield
    rate_limits.start_anew()


def forget_counts():
    rate_limits.start_anew()
    redis = rate_limits.redis_and_breaker()
    if redis is not None:
        for name in redis.shared.client.scan_iter("pithead:rate:*"):
            redis.shared.client.delete(name)


@pytest.fixture
def limits(settings, store):
    settings.PITHEAD_FAILED_ATTEMPTS_PER_ADDRESS = 5
    settings.PITHEAD_FAILED_ATTEMPTS_PER_SELECTOR = 3
    attempts.start_anew()


@pytest.fixture(params=["/api/v1/key", "/gateway/verify"])
def path(request):
    return request.param


def ask(secret, address=ATTACKER, path="/api/v1/key"):
    headers = {"Authorization": f"Bearer {secret}", "X-Pithead-Permission": "stats:read"}
    answer = Client().get(path, headers=headers, REMOTE_ADDR=address)
    code = answer.headers.get("X-Pithead-Code") or (answer.json()["code"] if answer.status_code >= 400 else "")
    return SimpleNamespace(status=answer.status_code, code=code, answer=answer)


def codes(secrets, address=ATTACKER, path="/api/v1/key"):
    return [ask(secret, address, path).code for secret in secrets]


def unknown(count):
    return [key_format.generate("production", prefix="ph").text for _ in range(count)]


def wrong(secret):
    """The public selector of ``secret``, with another secret behind it."""
    body = secret[:20] + key_format.generate("production", prefix="ph").text[20:-6]
    return body + key_format.checksum(body)


@contextmanager
def no_work(monkeypatch):
    """Nothing is read from the database, and nothing digested or verified."""
    worked = []
    with monkeypatch.context() as patch, CaptureQueriesContext(connection) as queries:
        for module, name in (
            (signing, "matches"),
            (signing, "digest"),
            (registered, "_lookup"),
            (registered, "_verify"),
        ):
            patch.setattr(module, name, lambda *args, name=name: worked.append(name))
        yield
    assert (worked, len(queries)) == ([], 0)


def test_so_many_wrong_keys_of_an_address_are_looked_at_and_no_more(limits, path, db, monkeypatch):
    assert codes(unknown(5), path=path) == ["invalid_key"] * 5
    with no_work(monkeypatch):
        refused = [ask(secret, path=path) for secret in unknown(20)]
    for each in refused:
        assert (each.status, each.code) == (403 if "gateway" in path else 429, "rate_limited")
        assert 0 < int(each.answer["Retry-After"]) <= 12
        assert each.answer["RateLimit-Policy"] == '"attempts";q=5;w=60'
        assert each.answer["Cache-Control"] == "no-store"
    assert codes(unknown(1), HOLDER, path) == ["invalid_key"], "another address has its own"


def test_malformed_keys_count_as_well(limits, path, db, monkeypatch):
    assert codes(["mistyped"] * 7, path=path) == ["invalid_key"] * 5 + ["rate_limited"] * 2
    with no_work(monkeypatch):
        assert codes(unknown(2), path=path) == ["rate_limited"] * 2


def test_old_keys_of_support_s_are_looked_up_no_more_either(limits, path, account, register_key, monkeypatch):
    register_key(OLD, [MinerFactory(account=account)])
    assert codes([f"no-such-old-key-{number}" for number in range(5)], path=path) == ["invalid_key"] * 5
    with no_work(monkeypatch):
        assert codes([OLD, "another-old-string"], path=path) == ["rate_limited"] * 2
    assert ask(OLD, HOLDER, path).status == 200
    assert ask(OLD, ATTACKER, path).status == 200, "known by now"


def test_right_secrets_are_never_counted(limits, path, issue_key):
    revoked, stopped = issue_key(name="revoked")
    lifecycle.revoke(revoked, actor=COMMAND, reason="other")
    _, secret = issue_key()
    assert codes([secret, stopped] * 20, path=path) == ["", "key_revoked"] * 20
    assert codes(unknown(6), path=path) == ["invalid_key"] * 5 + ["rate_limited"]


def test_no_header_and_other_schemes_are_no_attempts(limits, db):
    for _ in range(10):
        assert Client().get("/api/v1/key", REMOTE_ADDR=ATTACKER).status_code == 401
        assert (
            Client(headers={"Authorization": "Basic eDp5"}).get("/api/v1/key", REMOTE_ADDR=ATTACKER).status_code == 401
        )


def test_a_key_that_worked_lately_passes_beside_an_attacker_of_the_same_address(limits, path, issue_key):
    _, secret = issue_key()
    _, fresh = issue_key(name="fresh")
    assert ask(secret, ATTACKER, path).status == 200
    codes(unknown(6), path=path)
    assert [ask(secret, ATTACKER, path).status for _ in range(10)] == [200] * 10
    # One that has not worked in this process has to wait its turn, and is told how long.
    assert ask(fresh, ATTACKER, path).code == "rate_limited"
    assert ask(fresh, HOLDER, path).status == 200
    assert ask(fresh, ATTACKER, path).status == 200


def test_whoever_knows_a_selector_locks_nobody_out(limits, path, issue_key, monkeypatch):
    """It is public: every mask shows the most of it."""
    _, secret = issue_key()
    spread = [f"198.51.100.{number}" for number in range(10)]
    assert [ask(wrong(secret), address, path).code for address in spread] == ["invalid_key"] * 3 + ["rate_limited"] * 7
    with no_work(monkeypatch):
        assert [ask(wrong(secret), address, path).code for address in spread] == ["rate_limited"] * 10
        assert ask(secret, spread[0], path).code == "rate_limited", "the answer is the same to a right secret"
    # The holder, who never failed from where they are, and then from anywhere.
    assert ask(secret, HOLDER, path).status == 200
    assert ask(secret, spread[0], path).status == 200
    assert ask(wrong(secret), HOLDER, path).code == "rate_limited"


def test_an_unknown_selector_is_limited_as_a_known_one(limits, issue_key):
    _, secret = issue_key()
    unknown_one = unknown(1)[0]
    answers = []
    for number, tried in enumerate((secret, unknown_one)):
        addresses = [f"203.0.113.{10 * number + place}" for place in range(5)]
        met = [ask(wrong(tried), address) for address in addresses]
        answers.append(
            [(each.status, each.answer.content.replace(each.answer["X-Request-Id"].encode(), b"")) for each in met]
        )
    assert answers[0] == answers[1]
    assert [status for status, _ in answers[0]] == [401, 401, 401, 429, 429]


def test_malformed_wrong_and_unknown_get_one_and_the_same_refusal(limits, issue_key):
    _, secret = issue_key()
    codes(unknown(6))

    def anonymous(answer):
        request_id = answer["X-Request-Id"]
        headers = {name: value.replace(request_id, "") for name, value in answer.items()}
        return headers, answer.content.replace(request_id.encode(), b"")

    told = [
        anonymous(ask(text).answer)
        for text in ("mistyped", wrong(secret), secret, "an-old-key-of-support", *unknown(1))
    ]
    assert told == [told[0]] * 5


def test_of_ipv6_a_whole_64_is_one_address(limits, db):
    addresses = [f"2001:db8:0:7::{number:x}" for number in range(1, 8)]
    met = [ask(unknown(1)[0], address).code for address in addresses]
    assert met == ["invalid_key"] * 5 + ["rate_limited"] * 2
    assert ask(unknown(1)[0], "2001:db8:0:8::1").code == "invalid_key"
    assert ask(unknown(1)[0], "::ffff:203.0.113.7").code == "invalid_key"


def test_after_the_time_that_it_was_told_an_address_may_try_again(limits, db, monkeypatch):
    """In Redis the time is Redis's own: there only what the process remembers is."""
    clock = Clock()
    monkeypatch.setattr(attempts, "monotonic", clock)
    attempts.start_anew()
    if django_settings.REDIS_URL and rate_limits.redis_and_breaker() is not None:
        store = rate_limits.redis_and_breaker().shared
    else:
        store = rate_limits._current()
    now = [1_795_262_400_000_000]
    monkeypatch.setattr(store, "_clock", lambda: now[0])
    assert codes(unknown(6)) == ["invalid_key"] * 5 + ["rate_limited"]
    wait = int(ask(unknown(1)[0]).answer["Retry-After"])
    assert wait == 12
    for seconds in (wait - 0.5, 0.5):
        clock.now += seconds
        now[0] += int(seconds * 1_000_000)
        met = codes(unknown(3))
    assert met == ["invalid_key", "rate_limited", "rate_limited"]


def test_a_good_request_asks_nothing_while_nothing_fails_and_looks_once_where_it_did(limits, issue_key, monkeypatch):
    _, secret = issue_key()
    asked = []
    for name in ("take", "peek"):
        real = getattr(rate_limits, name)
        monkeypatch.setattr(rate_limits, name, lambda *args, real=real, name=name: asked.append(name) or real(*args))
    for _ in range(5):
        assert ask(secret).status == 200
    assert asked == []
    codes(unknown(2), NEIGHBOUR)
    asked.clear()
    for address in (ATTACKER, NEIGHBOUR):
        assert ask(secret, address).status == 200
    assert asked == [], "it worked lately"
    _, other = issue_key(name="other")
    assert [ask(other, NEIGHBOUR).status for _ in range(3)] == [200] * 3
    assert asked == ["peek"]


def test_a_blocked_address_asks_no_store(limits, db, monkeypatch):
    codes(unknown(6))
    monkeypatch.setattr(rate_limits, "peek", None)
    monkeypatch.setattr(rate_limits, "take", None)
    assert codes(["mistyped", *unknown(3)]) == ["rate_limited"] * 4


def test_one_line_is_written_where_a_block_begins_and_none_with_a_secret(limits, issue_key, caplog):
    _, secret = issue_key()
    tried = [wrong(secret) for _ in range(12)]
    with caplog.at_level(logging.WARNING, logger="apikeys.attempts"):
        codes(tried)
        codes(unknown(12))
        attempts.start_anew()  # another process meets it
        codes(unknown(12))
        forget_counts()  # it stops, and begins again in a minute
        codes(unknown(12))
    lines = [record.getMessage() for record in caplog.records]
    assert [line.rpartition(": ")[2] for line in lines] == [secret[:14] + "••••", ATTACKER]
    assert not any(text[20:] in line for text in [secret, *tried] for line in lines)


def test_zero_is_no_limit(limits, settings, db):
    settings.PITHEAD_FAILED_ATTEMPTS_PER_ADDRESS = 0
    assert codes(["mistyped", *unknown(9)]) == ["invalid_key"] * 10
    settings.PITHEAD_FAILED_ATTEMPTS_PER_SELECTOR = 0
    assert codes(unknown(1) * 10) == ["invalid_key"] * 10


def test_without_redis_each_process_counts_for_itself(settings, db):
    settings.PITHEAD_FAILED_ATTEMPTS_PER_ADDRESS = 3
    with nobody_listens() as settings.REDIS_URL:
        rate_limits.start_anew()
        assert codes(unknown(5)) == ["invalid_key"] * 3 + ["rate_limited"] * 2
    rate_limits.start_anew()


def test_memory_is_bounded_and_what_is_old_is_forgotten(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(attempts, "monotonic", clock)
    monkeypatch.setattr(attempts, "MOST", 100)
    lately = attempts.Lately(60)
    for number in range(1000):
        lately.note(f"address {number}")
        assert len(lately) <= 200
    assert [lately.get(f"address {number}") for number in (999, 0)] == [0.0, None]
    clock.now += 60
    assert lately.get("address 999") == 0.0
    clock.now += 60
    assert lately.get("address 999") is None
    lately.note("again")
    clock.now += 3600
    assert lately.get("again") is None
    assert len(lately) == 0
