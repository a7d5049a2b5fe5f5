"""The real server, four processes, on the test database, and clients that never stop asking."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db import connection

WORKERS = 4


def database_url() -> str:
    """The test database, as DATABASE_URL names it."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    login = ":".join(quote(database[part], safe="") for part in ("USER", "PASSWORD") if database[part])
    return f"postgres://{login}@{database['HOST']}:{database['PORT'] or 5432}/{database['NAME']}"


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """That of a process of Pithead in production's form, on the test database; what it remembers is in ``folder``."""
    return {
        **os.environ,
        "DEBUG": "False",
        "DATABASE_URL": database_url(),
        "SECRET_KEY": settings.SECRET_KEY,
        "PITHEAD_MASTER_KEYS": ",".join(settings.PITHEAD_MASTER_KEYS),
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECURE_SSL_REDIRECT": "False",
        "PITHEAD_STOPS_FILE": str(folder / "stops.ndjson"),
        # All tests come from one address, and ask on and on until a server answers.
        "PITHEAD_FAILED_ATTEMPTS_PER_ADDRESS": "0",
        "PITHEAD_FAILED_ATTEMPTS_PER_SELECTOR": "0",
        **variables,
    }


@contextmanager
def gunicorn(log: Path, **variables: str) -> Iterator[int]:
    """Serve Pithead in production's form on a free port; yield the port. ``variables`` go into its environment.

    Its request log is written at its end: tests that share a server empty the database meanwhile.
    """
    with serving(log, **{"PITHEAD_REQUEST_LOG_SECONDS": "3600", **variables}) as (_, port):
        yield port


@contextmanager
def serving(
    log: Path, *options: str, workers: int = WORKERS, **variables: str
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Like gunicorn(); yield the server, in a process group of its own, and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "config.wsgi", "--no-control-socket"]
    command += ["--workers", str(workers), "--bind", f"127.0.0.1:{port}", *options]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=settings.BASE_DIR,
            env=environment(log.parent, **variables),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until_it_answers(server, port, log, workers)
            yield server, port
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def wait_until_it_answers(server: subprocess.Popen[bytes], port: int, log: Path, workers: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if ask(port, "none")[0] == 401 and log.read_text().count("Booting worker") >= workers:
                return
        except OSError:
            threading.Event().wait(0.1)
    raise AssertionError(f"The server did not start:\n{log.read_text()}")


def ask(port: int, secret: str) -> tuple[int, str]:
    """One request on a connection of its own: status, and body where it was refused."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        client.request("GET", "/api/v1/key", headers={"Authorization": f"Bearer {secret}"})
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    finally:
        client.close()


@dataclass
class Asking:
    """What clients met who asked on and on: (when the request started, status, body)."""

    answers: list[tuple[float, int, str]] = field(default_factory=list)

    def statuses(self, *, since: float = 0.0) -> Counter[int]:
        return Counter(status for start, status, _ in list(self.answers) if start > since)

    def wait_for(self, count: int, *, since: float = 0.0) -> None:
        """Until ``count`` requests that started after ``since`` were answered."""
        deadline = time.monotonic() + 30
        while sum(self.statuses(since=since).values()) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"Only {self.statuses(since=since)} in 30 seconds.")
            threading.Event().wait(0.02)


@contextmanager
def asking(port: int, secret: str, clients: int = 8) -> Iterator[Asking]:
    """Ask from ``clients`` threads until the block ends."""
    met, stop, errors = Asking(), threading.Event(), []

    def run() -> None:
        try:
            while not stop.is_set():
                start = time.monotonic()
                status, body = ask(port, secret)
                met.answers.append((start, status, body))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield met
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors, errors
