"""A server that is stopped or renewed finishes what it has begun: a deploy drops no request."""

from __future__ import annotations

import signal
import socket
import time

import pytest

from tests.factories import MinerFactory
from tests.security.live_server import ask, asking, serving

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

UNHURRIED = {"PITHEAD_REQUEST_LOG_SECONDS": "3600"}


def wait_for(log, words):
    deadline = time.monotonic() + 30
    while words not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def read_all(connection):
    received = b""
    while part := connection.recv(65536):
        received += part
    return received.decode()


def test_a_request_that_has_begun_is_answered_after_sigterm_and_then_the_server_ends(account, issue_key, tmp_path):
    miner = MinerFactory(account=account, name="before")
    _, secret = issue_key("administrator")
    body = b'{"name": "after"}'
    head = (
        f"PATCH /api/v1/miners/{miner.pk} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Authorization: Bearer {secret}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    log = tmp_path / "log"
    with serving(log, "--threads", "2", workers=1, **UNHURRIED) as (server, port):
        assert ask(port, secret)[0] == 200
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(head + body[:5])
            time.sleep(0.5)  # the server reads on, in the middle of the request
            server.send_signal(signal.SIGTERM)
            wait_for(log, "Handling signal: term")
            time.sleep(0.5)  # the worker has heard of it, and would end now
            connection.sendall(body[5:])
            answer = read_all(connection)
        assert answer.startswith("HTTP/1.1 200 "), answer
        assert '"name":"after"' in answer
        assert server.wait(timeout=30) == 0
        with pytest.raises(ConnectionRefusedError):
            ask(port, secret)
    miner.refresh_from_db()
    assert miner.name == "after"


def test_renewing_the_workers_under_load_drops_no_request(issue_key, tmp_path):
    """SIGHUP is how the new code is taken up: the socket stays open, and old workers go when they are done."""
    _, secret = issue_key()
    log = tmp_path / "log"
    with serving(log, "--threads", "4", workers=2, **UNHURRIED) as (server, port), asking(port, secret, 4) as met:
        met.wait_for(20)
        server.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 60
        while log.read_text().count("Booting worker") < 4 or log.read_text().count("Worker exiting") < 2:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        renewed = time.monotonic()
        met.wait_for(20, since=renewed)
    assert set(met.statuses()) == {200}
