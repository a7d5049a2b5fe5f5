"""The request log: what a key does is noted in memory during the request, and written by one thread per process.

A request pays no write and waits for none. The thread writes every ``PITHEAD_REQUEST_LOG_SECONDS``, and the process
what is left when it ends; what a killed process (`kill -9`) had not written yet is lost.
"""

from __future__ import annotations

import atexit
import logging
import os
import time
from collections import deque
from collections.abc import Sequence
from threading import Event, Lock, Thread

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, reset_queries
from django.utils import timezone

from apikeys import metrics, request_rows
from apikeys.request_rows import Entry

logger = logging.getLogger(__name__)

#: Some 25 MB; more than a process takes in while its database restarts.
MAX_WAITING = 50_000
BATCH = 2_000
REMOVE_REQUESTS_EVERY = 3_600.0  # seconds, as below
REMOVE_USAGE_EVERY = 86_400.0
#: What a key did while somebody changes it is tried again after so long, so often, and then at the next turn.
HELD_WAIT = 0.05
HELD_TRIES = 20


class RequestLogWriter:
    """Takes entries from all threads of a process and writes them in batches."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self.start_anew()

    def start_anew(self) -> None:
        """Forget everything: what a forked process takes over is its parent's to write."""
        self._waiting: deque[Entry] = deque()
        self._dropped = 0
        self._queue = Lock()  # held for microseconds
        self._writing = Lock()  # the thread, or the process at its end
        self._ending = Event()
        self._thread: Thread | None = None
        self._failing = False
        self._next_removal = {request_rows.remove_old_requests: 0.0, request_rows.remove_old_usage: 0.0}

    @property
    def waiting(self) -> int:
        """How many entries are not written yet."""
        return len(self._waiting)

    @property
    def dropped(self) -> int:
        """How many entries were dropped since the database last took some."""
        return self._dropped

    def note(self, entry: Entry) -> None:
        """Keep ``entry`` until it is written; where too many wait, the oldest goes. Never waits for the database."""
        with self._queue:
            self._waiting.append(entry)
            full = len(self._waiting) > self._max_waiting
            if full:
                self._waiting.popleft()
                self._dropped += 1
                metrics.REQUEST_LOG_DROPPED.inc()
        if full and self._dropped == 1:
            logger.warning("The request log is full at %d requests that wait: the oldest are dropped.", self.waiting)
        if self._thread is None and settings.PITHEAD_REQUEST_LOG_THREAD:
            self._start()

    def flush(self) -> bool:
        """Write all that waits. False where the database did not take it: it waits on, and a later flush writes it."""
        with self._writing:
            with self._queue:
                taken = list(self._waiting)
                self._waiting.clear()
            parts = [taken[start : start + BATCH] for start in range(0, len(taken), BATCH)][::-1]
            try:
                held = _write(parts)
                for _ in range(HELD_TRIES):
                    if not held:
                        break
                    time.sleep(HELD_WAIT)
                    parts = [held]
                    held = _write(parts)
            except (OperationalError, InterfaceError) as error:
                self._give_back([entry for part in reversed(parts) for entry in part])
                self._say_failing(error)
                # A connection that broke is made anew next time.
                connection.close_if_unusable_or_obsolete()
                return False
            self._give_back(held)
            if taken:
                self._say_well()
            return True

    def _give_back(self, entries: Sequence[Entry]) -> None:
        with self._queue:
            room = max(0, self._max_waiting - len(self._waiting))
            kept = entries[max(0, len(entries) - room) :]
            self._dropped += len(entries) - len(kept)
            metrics.REQUEST_LOG_DROPPED.inc(len(entries) - len(kept))
            self._waiting.extendleft(reversed(kept))

    def _say_failing(self, error: Exception) -> None:
        if not self._failing:
            logger.warning("The request log can't be written, and waits: %s", type(error).__name__)
        self._failing = True

    def _say_well(self) -> None:
        with self._queue:
            dropped, self._dropped = self._dropped, 0
        if self._failing or dropped:
            logger.warning("The request log is written again; %d requests were dropped.", dropped)
        self._failing = False

    # The thread

    def _start(self) -> None:
        with self._queue:
            if self._thread is not None:
                return
            self._thread = Thread(target=self._run, name="request-log", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no thread to be had: the next entry tries again
            self._thread = None
        else:
            atexit.register(self._finish)

    def _run(self) -> None:
        while not self._ending.wait(settings.PITHEAD_REQUEST_LOG_SECONDS):
            metrics.REQUEST_LOG_WAITING.set(self.waiting)
            try:
                if self.flush():
                    self._remove_old()
                metrics.REQUEST_LOG_WAITING.set(self.waiting)
            except Exception:  # the thread lives on, whatever it met
                logger.exception("The request log met a fault.")
            reset_queries()  # with DEBUG they would be kept: no request ends on this thread

    def _remove_old(self) -> None:
        now = time.monotonic()
        for remove, every in (
            (request_rows.remove_old_requests, REMOVE_REQUESTS_EVERY),
            (request_rows.remove_old_usage, REMOVE_USAGE_EVERY),
        ):
            if now >= self._next_removal[remove]:
                self._next_removal[remove] = now + every
                try:
                    if remove(timezone.now()) >= request_rows.AT_ONCE:
                        self._next_removal[remove] = now  # the rest at the next turn: requests wait to be written
                except DatabaseError as error:
                    logger.warning("Old requests were not removed: %s", type(error).__name__)
                    connection.close_if_unusable_or_obsolete()

    def _finish(self) -> None:
        """At the end of the process: write what is left."""
        self._ending.set()
        if not self.flush():
            logger.error("The process ended with %d requests not written to the request log.", self.waiting)
        connection.close()


def _write(parts: list[list[Entry]]) -> list[Entry]:
    """Write ``parts`` from the last, emptying it, and return what has to wait.

    Raises OperationalError and InterfaceError; what was not written by then is still in ``parts``. A row that the
    database refuses for itself is lost, and takes no other along.
    """
    held: list[Entry] = []
    while parts:
        part = parts[-1]
        try:
            held += request_rows.write(part)
        except (OperationalError, InterfaceError):
            parts[:0] = [held] if held else []
            raise
        except DatabaseError as error:
            parts.pop()
            if len(part) == 1:
                logger.error("A request can't be written to the request log: %s", type(error).__name__)
            else:
                half = len(part) // 2
                parts += [part[half:], part[:half]]
        else:
            parts.pop()
    return held


_writer = RequestLogWriter()
note = _writer.note
flush = _writer.flush
# Django's `fork`s: gunicorn's workers, with --preload too. The child starts with its first entry.
os.register_at_fork(after_in_child=_writer.start_anew)
