"""The request log of a real server: written while it runs, at its end, and nearly all of it when it is killed."""

from __future__ import annotations

import os
import signal
import time

import pytest

from apikeys.models import RequestLog, UsageHour
from tests.security.live_server import WORKERS, ask, serving

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

ASKED = 40


def ask_often(port: int, secret: str) -> None:
    for _ in range(ASKED):
        assert ask(port, secret)[0] == 200


def wait_for(count: int) -> float:
    """Until so many requests are written; return how many seconds that took."""
    began = time.monotonic()
    while RequestLog.objects.count() < count:
        assert time.monotonic() - began < 30, RequestLog.objects.count()
        time.sleep(0.05)
    return time.monotonic() - began


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["each worker loads", "preloaded"])
def test_every_request_is_written_while_the_server_runs_and_once(tmp_path, issue_key, options):
    key, secret = issue_key()
    with serving(tmp_path / "log", *options, PITHEAD_REQUEST_LOG_SECONDS="0.3") as (_, port):
        ask_often(port, secret)
        wait_for(ASKED)
        assert key.secrets.get().last_used_address == "127.0.0.1"
        ask_often(port, secret)
    assert RequestLog.objects.count() == 2 * ASKED
    assert sum(UsageHour.objects.values_list("requests", flat=True)) == 2 * ASKED


def test_a_server_that_is_told_to_stop_writes_what_is_left(tmp_path, issue_key):
    key, secret = issue_key()
    with serving(tmp_path / "log", PITHEAD_REQUEST_LOG_SECONDS="3600") as (server, port):
        ask_often(port, secret)
        assert not RequestLog.objects.exists()
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0
    assert RequestLog.objects.count() == ASKED
    assert key.secrets.get().last_used_at is not None


def test_a_server_that_is_killed_loses_one_interval_at_most(tmp_path, issue_key):
    _, secret = issue_key()
    interval = 0.5
    with serving(tmp_path / "log", PITHEAD_REQUEST_LOG_SECONDS=str(interval)) as (server, port):
        ends = []
        until = time.monotonic() + 4 * interval
        while time.monotonic() < until:
            assert ask(port, secret)[0] == 200
            ends.append(time.time())
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    killed = time.time()
    written = RequestLog.objects.count()
    # Half a second to write in, on a busy machine.
    older = sum(end < killed - interval - 0.5 for end in ends)
    assert older > WORKERS
    assert older <= written <= len(ends)
    assert sum(UsageHour.objects.values_list("requests", flat=True)) == written
