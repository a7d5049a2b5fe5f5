"""Statistics, the same for a miner, for a hub over its clients and for a pool over what mines on it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from entities.api.base import EntityView
from entities.api.serializers import WorkerCountsSerializer
from entities.models import HashrateSample, Worker


class HashrateSummarySerializer(serializers.Serializer[Any]):
    """In hashes per second."""

    current = serializers.IntegerField(help_text="Of the workers that are online.")
    average_24h = serializers.IntegerField(allow_null=True, help_text="Null where nothing was measured.")
    average_7d = serializers.IntegerField(allow_null=True, help_text="Null where nothing was measured.")


class StatsSerializer(serializers.Serializer[Any]):
    hashrate = HashrateSummarySerializer()
    workers = WorkerCountsSerializer()


class PoolStatsSerializer(StatsSerializer):
    miners = serializers.IntegerField(help_text="On the pool, in reach.")
    hubs = serializers.IntegerField(help_text="On the pool, in reach.")


class StatsView(EntityView):
    permission = "stats:read"
    serializer_class = StatsSerializer

    def get(self, request: Request, environment: str, entity_id: str) -> Response:
        return Response(self.get_serializer(self.summarize(self.get_object())).data)

    def summarize(self, entity: Any) -> dict[str, Any]:
        raise NotImplementedError


def summarize_work(miners: QuerySet[Any] | list[Any], now: datetime) -> dict[str, Any]:
    """Hashrate in H/s and workers by status of ``miners``, with two queries."""
    workers, current = Worker.objects.filter(miner__in=miners).count_and_sum(now)
    averages = HashrateSample.objects.filter(miner__in=miners).averages(
        now, average_24h=timedelta(hours=24), average_7d=timedelta(days=7)
    )
    return {"hashrate": {"current": current, **averages}, "workers": workers}
