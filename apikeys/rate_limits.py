"""Rate limits: how many requests a key may make in a minute. GCRA, in Redis over all processes or in this one.

GCRA keeps one number for each key, the time at which its allowance would be whole again. A key may make as many
requests at once as its burst says, a whole minute's where it has none, and gets them back evenly: with 300 a minute and
a burst of 20, 20 at once and one more every 0.2 seconds.

Redis never decides whether a key is valid, and its absence lets nobody through: while it does not answer, every process
counts for itself, after one short wait for all its threads.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha1
from math import ceil
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from django.conf import settings

from apikeys import metrics

if settings.REDIS_URL:
    import redis  # noqa: F401 it takes its time, and now no request waits for it

if TYPE_CHECKING:
    from redis.connection import ConnectionInterface

logger = logging.getLogger(__name__)

MINUTE = 60_000_000  # µs, as all times here
#: No requests make an allowance whole so late: the clock was set back, and nobody waits until it has caught up.
LATEST = 2 * MINUTE
#: How often a Redis that did not answer is asked whether it is back.
PROBE_SECONDS = 1.0
#: What the headers call the two sides of a limit: how many in 60 seconds, and how many of them at once.
PER_MINUTE, AT_ONCE = "minute", "burst"


def burst_in_force(limit: int | None, burst: int | None) -> int | None:
    """How many of ``limit`` requests a minute may come at once where ``burst`` was set; None: there is no limit.

    A limit may have been lowered since: a burst is never more than a whole minute's.
    """
    return None if limit is None else min(limit, burst or limit)


@dataclass(frozen=True)
class Taken:
    """What came of one request: ``ahead`` µs from now the key's allowance, its ``burst``, is whole again."""

    allowed: bool
    limit: int
    burst: int
    ahead: int

    @property
    def remaining(self) -> int:
        """How many more requests may be made at once."""
        interval = interval_of(self.limit)
        return max(0, (self.burst * interval - self.ahead) // interval)

    @property
    def seconds(self) -> int:
        """Until the next request is allowed where none is left now, else until the allowance is whole again."""
        spent = interval_of(self.limit) * (self.burst - 1) if self.remaining == 0 else 0
        return max(1, ceil((self.ahead - spent) / 1_000_000))

    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers-11 has them.

        What is left is of the burst where there is one, which always runs out before the minute's. Its window is the
        time in which it comes back, rounded up to whole seconds: it never promises more than there is.
        """
        policies, reported = f'"{PER_MINUTE}";q={self.limit};w=60', PER_MINUTE
        if self.burst < self.limit:
            window = ceil(self.burst * interval_of(self.limit) / 1_000_000)
            policies, reported = f'{policies}, "{AT_ONCE}";q={self.burst};w={window}', AT_ONCE
        return {"RateLimit-Policy": policies, "RateLimit": f'"{reported}";r={self.remaining};t={self.seconds}'}


def interval_of(limit: int) -> int:
    """µs from one request to the next at an even pace; rounded up, so never more than ``limit`` a minute."""
    return -(-MINUTE // limit)


def judge(due: int, now: int, limit: int, burst: int) -> tuple[bool, int]:
    """GCRA: is a request allowed at ``now`` where the allowance is whole at ``due``, and when is it from then on?"""
    interval = interval_of(limit)
    if due < now or due - now > LATEST:
        due = now
    if due - now > interval * (burst - 1):
        return False, due
    return True, due + interval


def _as_it_stands(due: int, now: int, limit: int, burst: int) -> Taken:
    """What judge() would say, with nothing taken yet."""
    allowed, after = judge(due, now, limit, burst)
    return Taken(allowed, limit, burst, after - now - (interval_of(limit) if allowed else 0))


class Store(Protocol):
    def take(self, key_pk: UUID, limit: int, burst: int) -> Taken:
        """Count one request of the key against ``limit`` a minute and ``burst`` at once, unless it is over either."""

    def peek(self, key_pk: UUID, limit: int, burst: int) -> Taken:
        """Tell whether the next request of the key would be allowed, and count none."""


class InProcess:
    """The allowances of one process, which all its threads share."""

    #: Beyond so many keys those whose allowance is whole are forgotten: they are as good as new.
    MANY = 10_000

    def __init__(self, clock: Callable[[], int] = lambda: time.monotonic_ns() // 1000) -> None:
        self._clock = clock
        self._due: dict[UUID, int] = {}
        self._lock = Lock()
        self._many = self.MANY

    def take(self, key_pk: UUID, limit: int, burst: int) -> Taken:
        with self._lock:
            now = self._clock()
            allowed, due = judge(self._due.get(key_pk, now), now, limit, burst)
            if allowed:
                if len(self._due) >= self._many:
                    self._due = {pk: other for pk, other in self._due.items() if other > now}
                    self._many = max(self.MANY, 2 * len(self._due))
                self._due[key_pk] = due
        return Taken(allowed, limit, burst, due - now)

    def peek(self, key_pk: UUID, limit: int, burst: int) -> Taken:
        with self._lock:
            now = self._clock()
            return _as_it_stands(self._due.get(key_pk, now), now, limit, burst)


#: judge() where all processes share its number. Redis's own clock, so that no two machines' clocks differ; ARGV[3] is a
#: test's. What is written goes by itself once the allowance is whole.
SCRIPT = """
local interval, burst, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
end
local due = tonumber(redis.call('GET', KEYS[1])) or now
if due < now or due - now > 120000000 then
    due = now
end
if due - now > interval * (burst - 1) then
    return {0, due - now}
end
due = due + interval
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000))
return {1, due - now}
"""


class InRedis:
    """The allowances of all processes. Raises its ``errors`` where Redis does not answer as it should."""

    def __init__(self, url: str, clock: Callable[[], int] | None = None) -> None:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self.errors = (redis.RedisError, OSError)
        self._clock = clock
        # One attempt. A Redis that hangs lets connect, or does not: either way a request waits so long once.
        self.client = redis.Redis.from_url(
            url,
            socket_timeout=settings.PITHEAD_REDIS_WAIT_SECONDS,
            socket_connect_timeout=settings.PITHEAD_REDIS_WAIT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._missing = redis.exceptions.NoScriptError
        self._digest = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
        #: Connections that nobody uses now: as many as there were threads at once.
        self._idle: deque[ConnectionInterface] = deque()

    def take(self, key_pk: UUID, limit: int, burst: int) -> Taken:
        arguments: list[int] = [interval_of(limit), burst]
        if self._clock is not None:
            arguments.append(self._clock())
        name = _name_of(key_pk)
        try:
            allowed, ahead = self._ask("EVALSHA", self._digest, 1, name, *arguments)
        except self._missing:  # a Redis that has started anew
            allowed, ahead = self._ask("EVAL", SCRIPT, 1, name, *arguments)
        return Taken(bool(allowed), limit, burst, ahead)

    def _ask(self, *command: str | int) -> Any:
        """Send ``command`` and return the answer. Every request comes here, and the client costs twice as much."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self.client.connection_pool.make_connection()
        try:
            if connection.is_connected and self._is_stale(connection):
                connection.disconnect()
            connection.send_command(*command)  # connects, where it is not
            return connection.read_response()
        except BaseException:
            connection.disconnect()  # what comes late must not answer another request
            raise
        finally:
            self._idle.append(connection)

    def _is_stale(self, connection: ConnectionInterface) -> bool:
        """Whether Redis has closed it, or left there what nobody asked for."""
        try:
            return connection.can_read()
        except self.errors:
            return True

    def peek(self, key_pk: UUID, limit: int, burst: int) -> Taken:
        now = self._clock() if self._clock is not None else self._now()
        due: Any = self.client.get(_name_of(key_pk))
        return _as_it_stands(int(due or now), now, limit, burst)

    def _now(self) -> int:
        answer: Any = self.client.time()
        seconds, microseconds = answer
        return int(seconds * 1_000_000 + microseconds)

    def ping(self) -> None:
        self.client.ping()


def _name_of(key_pk: UUID) -> str:
    return f"pithead:rate:{key_pk.hex}"


class SharedOrOwn:
    """Redis, and while it does not answer this process's own count: a breaker, which a thread closes again."""

    def __init__(self, shared: InRedis, own: InProcess) -> None:
        self.shared = shared
        self._own = own
        self._lock = Lock()
        self._broken = False

    @property
    def broken(self) -> bool:
        return self._broken

    def take(self, key_pk: UUID, limit: int, burst: int) -> Taken:
        if not self._broken:
            try:
                return self.shared.take(key_pk, limit, burst)
            except self.shared.errors as error:
                self.stop_asking(error)
        return self._own.take(key_pk, limit, burst)

    def peek(self, key_pk: UUID, limit: int, burst: int) -> Taken:
        if not self._broken:
            try:
                return self.shared.peek(key_pk, limit, burst)
            except self.shared.errors as error:
                self.stop_asking(error)
        return self._own.peek(key_pk, limit, burst)

    def answers(self) -> bool:
        """Whether Redis does, found out now unless it is known that it does not."""
        if not self._broken:
            try:
                self.shared.ping()
            except self.shared.errors as error:
                self.stop_asking(error)
        return not self._broken

    def stop_asking(self, error: Exception) -> None:
        """Let no request wait for Redis, which raised ``error``, until a thread has found it back."""
        with self._lock:
            if self._broken:
                return
            self._broken = True
        metrics.RATE_LIMITS_SHARED.set(0)
        metrics.REDIS_BREAKER_OPENINGS.inc()
        logger.warning("Redis does not answer, so every process limits rates for itself: %s", type(error).__name__)
        try:
            Thread(target=self._mend, name="rate-limits", daemon=True).start()
        except RuntimeError:  # no thread to be had: the next request asks again
            self._broken = False
            metrics.RATE_LIMITS_SHARED.set(1)

    def _mend(self) -> None:
        """Ask until it answers: no request waits for that."""
        while True:
            time.sleep(PROBE_SECONDS)
            try:
                self.shared.ping()
            except self.shared.errors:
                continue
            self._broken = False
            metrics.RATE_LIMITS_SHARED.set(1)
            logger.warning("Redis answers again: rates are limited over all processes.")
            return


_store: InProcess | SharedOrOwn | None = None
_making = Lock()


def take(key_pk: UUID, limit: int, burst: int | None = None) -> Taken:
    """Count one request of the key against ``limit`` a minute and ``burst`` at once, unless it is over either.

    A burst of None is a whole minute's. Never raises.
    """
    return _current().take(key_pk, limit, burst or limit)


def peek(key_pk: UUID, limit: int, burst: int | None = None) -> Taken:
    """Tell how the key's allowance stands, and take nothing of it. ``allowed`` is of the next request. Never raises."""
    return _current().peek(key_pk, limit, burst or limit)


def report() -> str:
    """For /readyz: over what requests are counted just now."""
    store = _current()
    if isinstance(store, InProcess):
        return "per process"
    return "shared" if store.answers() else "per process, Redis does not answer"


def redis_and_breaker() -> SharedOrOwn | None:
    """What else is kept in Redis shares its client and its breaker: one wait for all. None where there is no Redis."""
    store = _current()
    return store if isinstance(store, SharedOrOwn) else None


def _current() -> InProcess | SharedOrOwn:
    global _store
    if _store is None:
        with _making:
            if _store is None:
                own = InProcess()
                _store = SharedOrOwn(InRedis(settings.REDIS_URL), own) if settings.REDIS_URL else own
                metrics.RATE_LIMITS_SHARED.set(isinstance(_store, SharedOrOwn))
    return _store


def start_anew() -> None:
    """Forget every allowance of this process, and whether Redis answered. A forked process shares no connection."""
    global _store, _making
    _store, _making = None, Lock()


os.register_at_fork(after_in_child=start_anew)
