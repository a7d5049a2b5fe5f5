"""Threads that start together, each with a database connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connections


def race(runs: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run all of ``runs`` at once and return what each returned, or the exception that it raised."""
    start = Barrier(len(runs))

    def run(call: Callable[[], Any]) -> Any:
        try:
            start.wait(timeout=30)
            return call()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(runs)) as pool:
        return list(pool.map(run, runs))
