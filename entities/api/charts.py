"""``/miners/charts``: hashrate of several miners over a period, with one query for all their samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from entities.api.base import EntityView
from entities.api.ids import MAX_IDS, read_ids
from entities.models import HashrateSample, Miner


@dataclass(frozen=True)
class Period:
    length: timedelta
    step: str  # ISO 8601: every hour is kept, or each day's mean

    def starts_at(self, now: datetime) -> datetime:
        """Where the period that ends with the running step begins, so that its steps are whole."""
        step = timedelta(hours=1) if self.step == "PT1H" else timedelta(days=1)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        running = midnight + (now - midnight) // step * step
        return running + step - self.length


#: ISO 8601 durations; a month is 30 days, so that every chart has as many points.
PERIODS = {
    "P1D": Period(timedelta(days=1), "PT1H"),
    "P1W": Period(timedelta(days=7), "PT1H"),
    "P1M": Period(timedelta(days=30), "P1D"),
}
DEFAULT_PERIOD = "P1D"
MAX_MINERS = MAX_IDS


class PointSerializer(serializers.Serializer[Any]):
    timestamp = serializers.IntegerField(help_text="Where the step begins, in seconds since 1970-01-01T00:00:00Z.")
    hashrate = serializers.IntegerField(help_text="Hashes per second, accepted; the step's mean.")
    rejectrate = serializers.IntegerField(help_text="Hashes per second whose shares were rejected; the step's mean.")


class ChartSerializer(serializers.Serializer[Any]):
    points = PointSerializer(many=True, help_text="Newest first; steps in which nothing was measured have none.")


class ChartsSerializer(serializers.Serializer[Any]):
    period = serializers.ChoiceField(list(PERIODS))
    step = serializers.ChoiceField(["PT1H", "P1D"], help_text="How long each point's step is.")
    data = serializers.DictField(  # type: ignore[assignment]
        child=ChartSerializer(), help_text="By the ID of the miner or pool."
    )


class MinerCharts(EntityView):
    """The hashrate of several miners over a period.

    Of those that “id” names, or without it of all in reach.
    """

    entity = Miner
    permission = "hashrate:read"
    serializer_class = ChartsSerializer
    parameters = ("period", "id")
    repeatable = ("id",)

    def get(self, request: Request, environment: str) -> Response:
        name, period = choose_period(request.query_params)
        ids = self.choose_miners(request.query_params.getlist("id"))
        samples = read_samples(ids, period, self.now)
        data = {str(pk): {"points": samples[pk]} for pk in ids}
        return Response({"period": name, "step": period.step, "data": data})

    def locate(self) -> None:
        if texts := self.request.query_params.getlist("id"):
            self.choose_miners(texts)

    def choose_miners(self, texts: list[str]) -> list[UUID]:
        """Return the asked miners by id. Raises NotFound if one of them is malformed, unknown or out of reach."""
        if not texts:
            every = list(_ids(self.get_queryset())[: MAX_MINERS + 1])
            if len(every) > MAX_MINERS:
                raise ValidationError({"id": [f"This key reaches more than {MAX_MINERS} miners: give their ids."]})
            return every
        asked = read_ids(texts)
        found = list(_ids(self.get_queryset(only=asked)))
        if len(found) != len(asked):
            raise NotFound
        return found


def _ids(miners: QuerySet[Any]) -> QuerySet[Any, UUID]:
    return miners.order_by("id").values_list("pk", flat=True)


def choose_period(query: QueryDict) -> tuple[str, Period]:
    """Return the period that ``?period=`` names, with its name. Raises ValidationError."""
    name = query.get("period", DEFAULT_PERIOD)
    if name not in PERIODS:
        raise ValidationError({"period": [f"Give one of {', '.join(PERIODS)}."]})
    return name, PERIODS[name]


def read_samples(
    ids: Iterable[UUID] | QuerySet[Any], period: Period, now: datetime
) -> defaultdict[UUID, list[dict[str, int]]]:
    """Return {miner id: [{"timestamp", "hashrate", "rejectrate"}, …]}, newest first; one query.

    Timestamps are Unix seconds, rates hashes per second. Miners without samples have an empty list.
    """
    rows = HashrateSample.objects.filter(miner__in=ids, at__gte=period.starts_at(now), at__lte=now)
    samples: defaultdict[UUID, list[dict[str, int]]] = defaultdict(list)
    for miner, at, hashrate, rejected in rows.by_hour() if period.step == "PT1H" else rows.by_day():
        samples[miner].append(as_point(at, hashrate, rejected))
    return samples


def as_point(at: datetime, hashrate: float, rejected: float) -> dict[str, int]:
    """A step that begins at ``at``; rates in hashes per second."""
    return {"timestamp": int(at.timestamp()), "hashrate": round(hashrate), "rejectrate": round(rejected)}
