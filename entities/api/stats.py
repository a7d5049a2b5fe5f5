"""Statistics, the same for a miner, for a hub over its clients and for a pool over what mines on it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from entities.api.base import EntityView
from entities.models import HashrateSample, Worker


class StatsView(EntityView):
    permission = "stats:read"

    def get(self, request: Request, environment: str, entity_id: str) -> Response:
        return Response(self.summarize(self.get_object()))

    def summarize(self, entity: Any) -> dict[str, Any]:
        raise NotImplementedError


def summarize_work(miners: QuerySet[Any] | list[Any], now: datetime) -> dict[str, Any]:
    """Hashrate in H/s and workers by status of ``miners``, with two queries."""
    workers, current = Worker.objects.filter(miner__in=miners).count_and_sum(now)
    averages = HashrateSample.objects.filter(miner__in=miners).averages(
        now, average_24h=timedelta(hours=24), average_7d=timedelta(days=7)
    )
    return {"hashrate": {"current": current, **averages}, "workers": workers}
