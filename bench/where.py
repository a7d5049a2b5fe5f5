"""Where the time of one request goes: timers around the steps of the hot path, without server and network.

    python -m bench.where
    python -m bench.where --database postgres://postgres@127.0.0.1:5432/pithead_bench

A step's time is CPU time of this process, and its own: what the steps inside it take is theirs, and waiting for
PostgreSQL is nobody's. Medians of many requests, in µs.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import redirect_stdout
from statistics import median
from time import thread_time
from typing import Any

from bench import database
from bench.server import FLOOR, WITH_KEY

ROTATE = WARM_UP = 1_000  # every account's signing key was met once
OUTSIDE = "handler, middleware, routing"


class Timers:
    """Own time by step, of one request after the other, on one thread."""

    def __init__(self) -> None:
        self.requests: list[dict[str, float]] = []
        self.inside: list[float] = []  # per open step: what the steps inside it took

    def wrap(self, step: str, owner: Any, name: str) -> None:
        """Replace ``owner.name`` by itself between two looks at the clock of this thread's CPU time."""
        timed = self.timed(step, getattr(owner, name))
        setattr(owner, name, timed)

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.inside.append(0.0)
            start = thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                took = thread_time() - start
                self.requests[-1][step] += took - self.inside.pop()
                if self.inside:
                    self.inside[-1] += took

        return call

    def medians(self) -> dict[str, float]:
        steps = dict.fromkeys(step for request in self.requests for step in request)
        return {step: 1e6 * median(request[step] for request in self.requests) for step in steps}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.where", description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=10_000, help="keys stored (10,000)")
    parser.add_argument("--requests", type=int, default=3_000, help="requests of each kind (3,000)")
    parser.add_argument("--database", default="sqlite", metavar="URL", help="as for bench.hot_path (sqlite)")
    parser.add_argument("--verbose", action="store_true", help="show the application's log")
    parser.add_argument("--inside", metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        with open(options.inside) as file:
            measure(json.load(file), options.requests)
        return
    with database.fresh_database(options.database) as url:
        env = database.environment(url)
        secrets = database.fill(env, keys=options.keys, rotate=ROTATE, accounts=1_000)
        # A process of its own: Django reads its settings from the environment.
        command = [sys.executable, "-m", "bench.where", "--requests", str(options.requests), "--inside", "/dev/stdin"]
        subprocess.run(
            command,
            cwd=database.ROOT,
            env=env,
            check=True,
            input=json.dumps(secrets),
            text=True,
            stderr=None if options.verbose else subprocess.DEVNULL,  # each refusal is a line of the log
        )


def measure(secrets: dict[str, list[str]], requests: int) -> None:
    """Drive the WSGI application in this process and print the table."""
    with redirect_stdout(sys.stderr):  # the checks say that all is well
        from config.wsgi import application

    timers = Timers()
    handle = timers.timed(OUTSIDE, lambda environ: answer(application, environ))
    instrument(timers)
    columns: dict[str, dict[str, float]] = {}
    streams = {"floor": itertools.cycle([wsgi_environ(FLOOR)])}
    streams |= {row: itertools.cycle([wsgi_environ(WITH_KEY, text) for text in secrets[row]]) for row in secrets}
    results: dict[str, list[dict[str, float]]] = {row: [] for row in streams}
    for number in range(WARM_UP + requests):
        for row, stream in streams.items():
            timers.requests = [defaultdict(float)]
            handle(dict(next(stream)))
            if number >= WARM_UP:
                results[row] += timers.requests
    for row, measured in results.items():
        timers.requests = measured
        columns[row] = timers.medians()
    steps = sorted(
        dict.fromkeys(step for column in columns.values() for step in column),
        key=lambda step: -columns["authenticated"].get(step, 0),
    )
    print(f"| own CPU time of a step, µs | {' | '.join(columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    for step in steps:
        print(f"| {step} | {' | '.join(f'{column.get(step, 0):.1f}' for column in columns.values())} |")
    print(f"| **sum** | {' | '.join(f'**{sum(column.values()):.0f}**' for column in columns.values())} |")


def instrument(timers: Timers) -> None:
    """Put a timer around every step that has a function of its own."""
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.template.response import SimpleTemplateResponse
    from django.utils import log
    from rest_framework.views import APIView

    from apikeys import (
        authentication,
        decisions,
        grants,
        permissions,
        problems,
        rate_limits,
        request_log,
        signing,
    )

    timers.wrap("parse and checksum", authentication, "parse_authorization")
    timers.wrap("SELECT", grants, "_select")
    timers.wrap("row to grant", grants, "_read")
    timers.wrap("unwrap the signing key", signing, "unwrap")
    timers.wrap("HMAC and compare", signing, "matches")
    timers.wrap("facts of the request", authentication, "request_facts")
    timers.wrap("decide, twice", decisions, "decide")
    timers.wrap("authentication class", authentication.BearerAuthentication, "authenticate")
    timers.wrap("permission class", permissions.GrantPermission, "has_permission")
    timers.wrap("rate limit", rate_limits, "take")
    timers.wrap("note for the request log", request_log, "note")
    timers.wrap("DRF dispatch", APIView, "dispatch")
    timers.wrap("rendering", SimpleTemplateResponse, "render")
    timers.wrap("problem answer", problems, "exception_handler")
    timers.wrap("problem answer", problems, "response")
    timers.wrap("connection: open or check out", BaseDatabaseWrapper, "connect")
    timers.wrap("connection: close or give back", BaseDatabaseWrapper, "close")
    timers.wrap("log line of a refusal", log.request_logger, "warning")


def answer(application: Callable[..., Any], environ: dict[str, Any]) -> None:
    response = application(environ, lambda status, headers: None)
    for _ in response:
        pass
    if hasattr(response, "close"):  # PEP 3333: only where there is one
        response.close()


def wsgi_environ(path: str, secret: str | None = None) -> dict[str, Any]:
    """What gunicorn makes of one of `bench.driver`'s requests."""
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_ACCEPT": "*/*",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }
    return environ | ({"HTTP_AUTHORIZATION": f"Bearer {secret}"} if secret else {})


if __name__ == "__main__":
    main()
