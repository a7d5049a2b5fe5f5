"""Usage drawn on the server: steps small enough for fifty rows of a list, and bars for the page of one key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apikeys.usage import Day

STEPS = 8


def steps(days: Sequence[Day]) -> str:
    """An SVG path over ``days``, one unit wide each and at most STEPS high; "" where nothing was requested.

    Any use is at least one step. Equal neighbours share one: the path is repeated for every row of a list.
    """
    most = max((day.requests for day in days), default=0)
    if not most:
        return ""
    runs: list[list[int]] = []
    for day in days:
        level = STEPS - (max(1, round(day.requests * STEPS / most)) if day.requests else 0)
        if runs and runs[-1][0] == level:
            runs[-1][1] += 1
        else:
            runs.append([level, 1])
    return f"M0 {STEPS}" + "".join(f"V{level}h{width}" for level, width in runs) + f"V{STEPS}z"


@dataclass(frozen=True)
class Bar:
    """One day of a chart: where it stands, and how high its answered and refused requests are, in its units."""

    day: Day
    x: int
    top: float
    height: float
    refused_height: float

    @property
    def answered_top(self) -> float:
        return round(self.top + self.refused_height, 1)


@dataclass(frozen=True)
class BarChart:
    """Requests by day, refused ones on top. A bar's place is 10 units wide, the chart HEIGHT high."""

    days: Sequence[Day]

    HEIGHT = 100
    PLACE = 10

    @property
    def width(self) -> int:
        return self.PLACE * len(self.days)

    @property
    def requests(self) -> int:
        return sum(day.requests for day in self.days)

    @property
    def refused(self) -> int:
        return sum(day.refused for day in self.days)

    @property
    def ceiling(self) -> int:
        """What the upper edge stands for: an even digit or ten, and zeros, so that half of it is a number, too."""
        most = max((day.requests for day in self.days), default=0)
        power = 1
        while power * 10 < most:
            power *= 10
        return max(4, next(power * step for step in (2, 4, 6, 8, 10) if power * step >= most))

    @property
    def ticks(self) -> list[int]:
        return [self.ceiling, self.ceiling // 2, 0]

    @property
    def bars(self) -> list[Bar]:
        def high(requests: int) -> float:
            return round(max(1.0, requests * self.HEIGHT / self.ceiling), 1) if requests else 0.0

        result = []
        for place, day in enumerate(self.days):
            height, refused = high(day.requests), high(day.refused)
            top = round(self.HEIGHT - height, 1)
            result.append(Bar(day, place * self.PLACE, top, round(height - refused, 1), refused))
        return result
