"""``/pools``: the pools in reach, and how what mines on them does."""

from __future__ import annotations

from typing import Any

from entities.api.base import DetailView, ListView
from entities.api.filters import PoolFilters
from entities.api.serializers import PoolSerializer
from entities.api.stats import StatsView, summarize_work
from entities.models import Hub, Miner, Pool


class PoolList(ListView):
    entity = Pool
    changes_slowly = True
    permission = "entities:read"
    serializer_class = PoolSerializer
    filterset_class = PoolFilters


class PoolDetail(DetailView):
    entity = Pool
    changes_slowly = True
    permission = "entities:read"
    serializer_class = PoolSerializer


class PoolStats(StatsView):
    """Over the hubs and miners on the pool that this key reaches: a pool's other customers are not its business."""

    entity = Pool

    def summarize(self, entity: Any) -> dict[str, Any]:
        miners = self.reached(Miner).filter(pool=entity)
        return {
            **summarize_work(miners.values("pk"), self.now),
            "miners": miners.count(),
            "hubs": self.reached(Hub).filter(pool=entity).count(),
        }
