"""Failed attempts: how often a wrong, unknown or malformed key may be tried, by an address and with a selector.

They are counted as requests of keys are (`rate_limits`), over all processes. Beyond a limit an attempt is refused
before anything is looked up or computed. Only failures are counted, and only a process in which something failed lately
asks what is counted: while nothing does, a request costs nothing more.

Nobody is locked out by it. A secret that was right lately passes from everywhere; and whoever wears out a selector,
which is public, wears it out for the addresses that fail with it.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil
from threading import Lock
from time import monotonic
from uuid import UUID

from django.conf import settings

from accounts.client_ip import network_of
from apikeys import key_format, rate_limits

logger = logging.getLogger(__name__)

#: After so long without a failure every allowance is whole, and nothing need be asked.
WATCHED_SECONDS = 60.0
KNOWN_SECONDS = 3600.0
TOLD_SECONDS = 600.0
#: Of each kind a process remembers twice as many at the most: some 10 MB in all.
MOST = 20_000

Presented = key_format.ParsedKey | key_format.ForeignText


class TooMany(Exception):
    """So many attempts failed that this one is refused unseen. ``limit`` is a minute's; ``seconds`` until the next."""

    def __init__(self, limit: int, seconds: int) -> None:
        super().__init__(limit, seconds)
        self.limit = limit
        self.seconds = seconds


class Lately:
    """What was noted in the last ``seconds``, up to twice as long: two halves, of which the older one is dropped."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = Lock()
        self._young: dict[str | bytes, float] = {}
        self._old: dict[str | bytes, float] = {}
        self._turned = monotonic()

    def note(self, name: str | bytes, value: float = 0.0) -> None:
        self._turn(MOST)
        self._young[name] = value

    def get(self, name: str | bytes) -> float | None:
        self._turn(MOST + 1)
        value = self._young.get(name)
        return self._old.get(name) if value is None else value

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def _turn(self, many: int) -> None:
        if monotonic() - self._turned < self._seconds and len(self._young) < many:
            return
        with self._lock:
            age = monotonic() - self._turned
            if age >= self._seconds or len(self._young) >= many:  # else another thread has just done it
                self._old = self._young if age < 2 * self._seconds else {}
                self._young = {}
                self._turned += age


@dataclass(frozen=True)
class _Counted:
    """What failures are counted by: an address or a selector. ``shown`` is what a log may say of it."""

    name: str
    limit: int
    shown: str

    @property
    def allowance(self) -> UUID:
        """Its name where `rate_limits` counts: hashed, as addresses are nobody's business in a Redis."""
        return UUID(bytes=blake2b(self.name.encode(), digest_size=16, person=b"pithead attempts").digest())


#: Address or selector -> until when it is refused without asking; 0 while it is only watched.
_watched = Lately(WATCHED_SECONDS)
#: "selector address" that failed together.
_together = Lately(WATCHED_SECONDS)
#: Marks of secrets that were right. They open nothing: what passes here is looked up like everything else.
_known = Lately(KNOWN_SECONDS)
_told = Lately(TOLD_SECONDS)
_MARK_KEY = secrets.token_bytes(32)


def admit(presented: Presented | None, address: str | None) -> None:
    """Let an attempt be looked up, or raise TooMany. None stands for what is no key at all."""
    if not len(_watched) or (presented is not None and _known.get(mark(presented)) is not None):
        return
    network = network_of(address)
    for counted in _by_address(network):
        _check(counted)
    if isinstance(presented, key_format.ParsedKey) and _together.get(f"{presented.selector} {network}") is not None:
        for counted in _by_selector(presented):
            _check(counted)


def fail(presented: Presented | None, address: str | None) -> None:
    """Count an attempt that failed. Raises TooMany where it was one too many, as if nobody had looked at it."""
    network = network_of(address)
    too_many = None
    if isinstance(presented, key_format.ParsedKey):
        _together.note(f"{presented.selector} {network}")
        for counted in _by_selector(presented):
            too_many = _count(counted)
    for counted in _by_address(network):
        too_many = _count(counted) or too_many
    if too_many is not None:
        raise too_many


def succeed(presented: Presented) -> None:
    """Remember in this process that the secret was right: what fails beside it is not its fault."""
    _known.note(mark(presented))


def _by_address(network: str | None) -> Iterator[_Counted]:
    limit = settings.PITHEAD_FAILED_ATTEMPTS_PER_ADDRESS
    if network is not None and limit > 0:
        yield _Counted(f"address {network}", limit, network)


def _by_selector(presented: key_format.ParsedKey) -> Iterator[_Counted]:
    limit = settings.PITHEAD_FAILED_ATTEMPTS_PER_SELECTOR
    if limit > 0:
        shown = key_format.mask(presented.environment, presented.selector, prefix=settings.PITHEAD_KEY_PREFIX)
        yield _Counted(f"selector {presented.selector}", limit, shown)


def _check(counted: _Counted) -> None:
    """Raise TooMany where a failure would be one too many. Only of what failed here lately is anything asked."""
    until = _watched.get(counted.name)
    if until is None:
        return
    wait = ceil(until - monotonic())
    if wait > 0:
        raise TooMany(counted.limit, wait)
    stands = rate_limits.peek(counted.allowance, counted.limit)
    if not stands.allowed:
        _refuse(counted, stands.seconds)
        raise TooMany(counted.limit, stands.seconds)


def _count(counted: _Counted) -> TooMany | None:
    taken = rate_limits.take(counted.allowance, counted.limit)
    if taken.remaining == 0:
        _refuse(counted, taken.seconds)
    else:
        _watched.note(counted.name)
    return None if taken.allowed else TooMany(counted.limit, taken.seconds)


def _refuse(counted: _Counted, seconds: int) -> None:
    """Remember until when nothing need be asked, and write one line where a row of refusals begins."""
    _watched.note(counted.name, monotonic() + seconds)
    if _told.get(counted.name) is not None:
        return
    _told.note(counted.name)
    told = _Counted(f"told {counted.name}", 1, counted.shown)
    if rate_limits.take(told.allowance, told.limit).allowed:  # else another process has just told
        logger.warning("Too many keys that are not valid, so more are refused unseen for a while: %s", counted.shown)


def mark(presented: Presented) -> bytes:
    """Tells a secret again. Keyed anew by each process, and it leaves none."""
    return blake2b(presented.text.encode("ascii"), digest_size=16, key=_MARK_KEY).digest()


def start_anew() -> None:
    """Forget what this process remembers, as a new one does. What is counted stays where it is counted."""
    global _watched, _together, _known, _told
    _watched, _together = Lately(WATCHED_SECONDS), Lately(WATCHED_SECONDS)
    _known, _told = Lately(KNOWN_SECONDS), Lately(TOLD_SECONDS)


os.register_at_fork(after_in_child=start_anew)
