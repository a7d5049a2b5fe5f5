"""``/miners``: the miners in reach, and what they make and earn."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from entities.api.base import DetailView, EntityView, ListView
from entities.api.filters import EntityFilters
from entities.api.rows import AccrualsView, PaymentsView, WorkersView
from entities.api.serializers import (
    BalanceSerializer,
    HashrateSampleSerializer,
    MinerDetailSerializer,
    MinerSerializer,
)
from entities.api.stats import StatsView, summarize_work
from entities.balances import balances
from entities.models import HashrateSample, Miner


class MinerList(ListView):
    entity = Miner
    changes_slowly = True
    permission = "entities:read"
    serializer_class = MinerSerializer
    filterset_class = EntityFilters


class MinerDetail(DetailView):
    entity = Miner
    permission = "entities:read"
    serializer_class = MinerDetailSerializer


class MinerWorkers(WorkersView):
    entity = Miner

    def get_miners(self, entity: Any) -> list[Any]:
        return [entity.pk]


class MinerHashrate(ListView):
    """Hourly means, newest first."""

    entity = Miner
    permission = "hashrate:read"
    serializer_class = HashrateSampleSerializer
    model = HashrateSample
    ordering = ("-at",)

    def get_rows(self) -> QuerySet[Any]:
        return HashrateSample.objects.filter(miner=self.get_object())


class MinerStats(StatsView):
    entity = Miner

    def summarize(self, entity: Any) -> dict[str, Any]:
        return summarize_work([entity.pk], self.now)


class MinerBalance(EntityView):
    """Each coin's balance, in the coins' alphabetical order."""

    entity = Miner
    permission = "balance:read"
    serializer_class = BalanceSerializer

    def get(self, request: Request, environment: str, entity_id: str) -> Response:
        return Response({"data": self.get_serializer(balances(self.get_object()), many=True).data})


class MinerAccruals(AccrualsView):
    entity = Miner


class MinerPayments(PaymentsView):
    entity = Miner
