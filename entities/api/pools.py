"""``/pools``: the pools in reach, what mines on them, and how that does."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from entities.api.base import DetailView, EntityView, ListView
from entities.api.charts import ChartsSerializer, as_point, choose_period
from entities.api.filters import PoolFilters
from entities.api.hub_serializers import PoolSerializer
from entities.api.hubs import HubList, with_client_count
from entities.api.miners import MinerList
from entities.api.stats import PoolStatsSerializer, StatsView, summarize_work
from entities.models import Entity, HashrateSample, Hub, Miner, Pool
from entities.scoping import ScopedQuerySet


class PoolList(ListView):
    """Pools in reach"""

    entity = Pool
    changes_slowly = True
    permission = "entities:read"
    serializer_class = PoolSerializer
    filterset_class = PoolFilters


class PoolDetail(DetailView):
    """One pool"""

    entity = Pool
    changes_slowly = True
    permission = "entities:read"
    serializer_class = PoolSerializer


class PoolView(EntityView):
    """Of what mines on a pool, what this key reaches: a pool's other customers are not its business."""

    entity = Pool

    def reached_on(self, pool: Any, kind: type[Entity]) -> ScopedQuerySet:
        return self.reached(kind).filter(pool=pool)


class PoolStats(PoolView, StatsView):
    """Statistics over the hubs and miners on a pool that the key reaches"""

    serializer_class = PoolStatsSerializer

    def summarize(self, entity: Any) -> dict[str, Any]:
        miners = self.reached_on(entity, Miner)
        return {
            **summarize_work(miners.values("pk"), self.now),
            "miners": miners.count(),
            "hubs": self.reached_on(entity, Hub).count(),
        }


class PoolCharts(PoolView):
    """Hashrate over a period of the miners on a pool that the key reaches, summed"""

    permission = "hashrate:read"
    parameters = ("period",)
    serializer_class = ChartsSerializer

    def get(self, request: Request, environment: str, entity_id: str) -> Response:
        pool = self.get_object()
        name, period = choose_period(request.query_params)
        miners = self.reached_on(pool, Miner).values("pk")
        samples = HashrateSample.objects.filter(miner__in=miners, at__gte=period.starts_at(self.now), at__lte=self.now)
        sums = samples.sum_by_hour() if period.step == "PT1H" else samples.sum_by_day()
        points = [as_point(*row) for row in sums]
        return Response({"period": name, "step": period.step, "data": {str(pool.pk): {"points": points}}})


class PoolHubs(ListView):
    """The hubs on a pool that the key reaches"""

    entity = Pool
    permission = "entities:read"
    model = Hub
    serializer_class = HubList.serializer_class
    filterset_class = HubList.filterset_class

    def get_rows(self) -> QuerySet[Any]:
        pool = self.get_object()
        return with_client_count(self.reached(Hub, cut=self.cut(pool=pool)).filter(pool=pool))


class PoolMiners(ListView):
    """The miners on a pool that the key reaches"""

    entity = Pool
    permission = "entities:read"
    model = Miner
    serializer_class = MinerList.serializer_class
    filterset_class = MinerList.filterset_class

    def get_rows(self) -> QuerySet[Any]:
        pool = self.get_object()
        return self.reached(Miner, cut=self.cut(pool=pool)).filter(pool=pool)
