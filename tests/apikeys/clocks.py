"""A clock that tests set, in microseconds, as rate limits count."""

from __future__ import annotations

START = 1_795_262_400_000_000  # µs
SECOND = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now
