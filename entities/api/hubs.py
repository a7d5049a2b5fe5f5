"""``/hubs``: the hubs in reach, their clients, and what they earn."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from entities.api.base import Cut, DetailView, ListView
from entities.api.filters import EntityFilters
from entities.api.rows import AccrualsView, PaymentsView, WorkersView
from entities.api.serializers import HubAccrualSerializer, HubClientSerializer, HubSerializer
from entities.api.stats import StatsView, summarize_work
from entities.models import Hub, HubClient


def _with_client_count(hubs: QuerySet[Any]) -> QuerySet[Any]:
    """Annotated with ``client_count``, counted for the page's rows alone."""
    clients = HubClient.objects.served().filter(hub=OuterRef("pk")).order_by().values("hub")
    return hubs.annotate(client_count=Coalesce(Subquery(clients.annotate(n=Count("pk")).values("n")), 0))


def _clients_of(hub: Any) -> QuerySet[Any]:
    return HubClient.objects.served().filter(hub=hub)


class HubList(ListView):
    entity = Hub
    changes_slowly = True
    permission = "entities:read"
    serializer_class = HubSerializer

    filterset_class = EntityFilters

    def get_queryset(self, only: Collection[UUID] | None = None, cut: Cut | None = None) -> QuerySet[Any]:
        return _with_client_count(super().get_queryset(only, cut))


class HubDetail(DetailView):
    entity = Hub
    changes_slowly = True
    permission = "entities:read"
    serializer_class = HubSerializer

    def get_queryset(self, only: Collection[UUID] | None = None, cut: Cut | None = None) -> QuerySet[Any]:
        return _with_client_count(super().get_queryset(only, cut))


class HubClients(ListView):
    """The miners that the hub serves, in the order in which they joined."""

    entity = Hub
    permission = "clients:read"
    serializer_class = HubClientSerializer
    model = HubClient
    ordering = ("joined_at", "miner_id")

    def get_rows(self) -> QuerySet[Any]:
        return _clients_of(self.get_object()).select_related("miner")


class HubWorkers(WorkersView):
    entity = Hub

    def get_miners(self, entity: Any) -> QuerySet[Any]:
        return _clients_of(entity).values("miner")


class HubStats(StatsView):
    entity = Hub

    def summarize(self, entity: Any) -> dict[str, Any]:
        return summarize_work(_clients_of(entity).values("miner"), self.now)


class HubAccruals(AccrualsView):
    entity = Hub
    serializer_class = HubAccrualSerializer


class HubPayments(PaymentsView):
    entity = Hub
