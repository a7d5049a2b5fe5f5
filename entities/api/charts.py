"""``/miners/charts``: hashrate of several miners over a period, with one query for all their samples."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.fields import DateTimeField
from rest_framework.request import Request
from rest_framework.response import Response

from entities.api.base import EntityView, parse_id
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
MAX_MINERS = 100


class MinerCharts(EntityView):
    """``?period=P1W&id=…&id=…``; without ids every miner in reach. Samples are newest first."""

    entity = Miner
    permission = "hashrate:read"
    parameters = ("period", "id")
    repeatable = ("id",)

    def get(self, request: Request, environment: str) -> Response:
        name = request.query_params.get("period", DEFAULT_PERIOD)
        if name not in PERIODS:
            raise ValidationError({"period": [f"Give one of {', '.join(PERIODS)}."]})
        ids = self.choose_miners(request.query_params.getlist("id"))
        samples = read_samples(ids, PERIODS[name], self.now)
        data = [{"id": str(pk), "samples": samples[pk]} for pk in ids]
        return Response({"period": name, "step": PERIODS[name].step, "data": data})

    def choose_miners(self, texts: list[str]) -> list[UUID]:
        """Return the asked miners by id. Raises NotFound if one of them is malformed, unknown or out of reach."""
        if len(texts) > MAX_MINERS:
            raise ValidationError({"id": [f"Give at most {MAX_MINERS} ids."]})
        if not texts:
            every = list(_ids(self.get_queryset())[: MAX_MINERS + 1])
            if len(every) > MAX_MINERS:
                raise ValidationError({"id": [f"This key reaches more than {MAX_MINERS} miners: give their ids."]})
            return every
        try:
            asked = {parse_id(text) for text in texts}
        except ValueError:
            raise NotFound from None
        found = list(_ids(self.get_queryset(only=asked)))
        if len(found) != len(asked):
            raise NotFound
        return found


def _ids(miners: QuerySet[Any]) -> QuerySet[Any, UUID]:
    return miners.order_by("id").values_list("pk", flat=True)


def read_samples(ids: list[UUID], period: Period, now: datetime) -> dict[UUID, list[dict[str, Any]]]:
    """Return {miner id: [{"at", "hashrate"}, …]}, newest first."""
    rows = HashrateSample.objects.filter(miner__in=ids, at__gte=period.starts_at(now), at__lte=now)
    samples: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    as_text = DateTimeField().to_representation
    for miner, at, hashrate in rows.by_hour() if period.step == "PT1H" else rows.by_day():
        samples[miner].append({"at": as_text(at), "hashrate": round(hashrate)})
    return samples
