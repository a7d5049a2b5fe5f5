"""Redis hangs under a real server: nobody waits but once, nothing is let in that should not be, and it mends itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from accounts.audit import Actor
from apikeys import lifecycle
from tests.apikeys.test_metrics import TOKEN, scrape
from tests.factories import MinerFactory
from tests.security.live_server import ask, serving

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

COMMAND = Actor.for_command("tests")
OLD = "nf-7Kd93jsLq02x-Export"
THREADS = 8
#: The server's own wait; what is more is a busy machine's.
WAIT, MACHINE = 0.1, 0.9


class HungRedis:
    """Takes connections and says nothing, from the start."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}/0"

    def hang(self):
        """It does already."""

    def end(self):
        self.listener.close()


class StoppedRedis:
    """A redis-server of our own, which SIGSTOP hangs and SIGCONT brings back."""

    def __init__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        program = shutil.which("redis-server")
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.url = f"redis://127.0.0.1:{port}/0"
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def hang(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def end(self):
        self.go_on()
        self.process.terminate()
        self.process.wait(timeout=20)


#: CI has a redis-server where it tests with Redis.
REDISES = {"says nothing": HungRedis} | ({"stopped": StoppedRedis} if shutil.which("redis-server") else {})


@contextmanager
def served(tmp_path, redis):
    """One worker, so that its count is known."""
    variables = {"REDIS_URL": redis.url, "PITHEAD_METRICS_TOKEN": TOKEN, "PITHEAD_REQUEST_LOG_SECONDS": "3600"}
    with serving(tmp_path / "log", "--threads", str(THREADS), workers=1, **variables) as (_, port):
        yield port


@pytest.fixture(params=REDISES)
def redis(request):
    redis = REDISES[request.param]()
    yield redis
    redis.end()


def ready(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30) as answer:
        return json.load(answer)["rate_limits"]


def timed(port, secret):
    began = time.monotonic()
    status, body = ask(port, secret)
    return time.monotonic() - began, status, body


def test_a_redis_that_hangs_delays_one_round_of_requests_and_lets_nobody_in(
    redis, tmp_path, account, issue_key, register_key
):
    key, secret = issue_key(rate_limit=30)
    revoked, stolen = issue_key(rate_limit=1000)
    support = register_key(OLD, [MinerFactory(account=account)])
    lifecycle.revoke(revoked, actor=COMMAND, reason="leaked")
    with served(tmp_path, redis) as port:
        ask(port, stolen)  # what is loaded once is loaded
        redis.hang()
        with ThreadPoolExecutor(THREADS) as pool:
            # All threads at once meet the hang: each waits for itself, side by side, and none a second time.
            first = list(pool.map(lambda _: timed(port, secret), range(THREADS)))
            began = time.monotonic()
            rest = list(pool.map(lambda _: timed(port, secret), range(60)))
            took = time.monotonic() - began
        assert max(seconds for seconds, _, _ in first) < WAIT + MACHINE
        assert took < 60 * WAIT / THREADS + 2 * MACHINE
        met = Counter(status for _, status, _ in first + rest)
        assert set(met) == {200, 429}, "no 5xx"
        assert 30 <= met[200] <= 30 + 8, "this process limits for itself"

        # Validity is the database's: before and after, whatever is remembered in Redis or is not.
        assert "key_revoked" in ask(port, stolen)[1]
        statuses = [timed(port, OLD) for _ in range(3)]
        assert [status for _, status, _ in statuses] == [200] * 3
        assert max(seconds for seconds, _, _ in statuses[1:]) < WAIT + MACHINE
        lifecycle.disable(support, actor=COMMAND)
        assert "key_disabled" in ask(port, OLD)[1]
        lifecycle.disable(key, actor=COMMAND)
        assert "key_disabled" in ask(port, secret)[1]
        assert ask(port, secret[:-1] + ("A" if secret[-1] != "A" else "B"))[0] == 401

        assert ready(port) == "per process, Redis does not answer"
        said = scrape(port)
        assert said["pithead_rate_limits_shared",] == 0
        assert said["pithead_redis_breaker_openings_total",] >= 1


if "stopped" in REDISES:

    def test_a_redis_that_comes_back_is_used_again_within_five_seconds(tmp_path, issue_key):
        redis = StoppedRedis()
        try:
            _, secret = issue_key(rate_limit=5)
            with served(tmp_path, redis) as port:
                assert [ask(port, secret)[0] for _ in range(6)] == [200] * 5 + [429]
                redis.hang()
                assert ask(port, secret)[0] == 200, "this process has counted none of it"
                assert ready(port) == "per process, Redis does not answer"
                redis.go_on()
                back = time.monotonic()
                while ready(port) != "shared":
                    assert time.monotonic() - back < 5
                    time.sleep(0.05)
                assert scrape(port)["pithead_rate_limits_shared",] == 1
                assert ask(port, secret)[0] == 429, "Redis has kept the count"
        finally:
            redis.end()


def test_limits_on_pages_go_on_without_redis(tmp_path):
    """They are counted in the shared cache, which hangs as well: a report of a leak is taken, and limited."""
    redis = HungRedis()
    try:
        with served(tmp_path, redis) as port:
            for _ in range(2):
                request = urllib.request.Request(
                    f"http://127.0.0.1:{port}/integrations/github/secret-scanning", data=b"[]", method="POST"
                )
                with pytest.raises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(request, timeout=30)
                assert refused.value.code < 500
    finally:
        redis.end()
