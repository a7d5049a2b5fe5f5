"""Lists that hang on an entity, the same for miners and hubs."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet

from entities.api.base import ListView
from entities.api.filters import Choice, DayFilters, Identifier, ListFilters, Ordering
from entities.api.serializers import AccrualSerializer, PayoutSerializer, WorkerSerializer
from entities.models import Accrual, Payout, Worker
from entities.querysets import WORKER_STATUSES


class WorkerFilters(ListFilters):
    name = django_filters.CharFilter(max_length=120, label="Exactly this name.")
    search = django_filters.CharFilter(
        field_name="name", lookup_expr="icontains", max_length=120, label="Names that contain this, case aside."
    )
    status = Choice(*WORKER_STATUSES, method="in_status", label="How the worker is doing.")
    group = Identifier(field_name="group_id", label="In this group.")
    ordering = Ordering("id", "name", "hashrate")

    def in_status(self, workers: Any, name: str, status: str) -> QuerySet[Any]:
        return workers.in_status(status, self.request.parser_context["view"].now)


class WorkersView(ListView):
    """Workers of the miners that `get_miners` names."""

    permission = "workers:read"
    serializer_class = WorkerSerializer
    filterset_class = WorkerFilters
    model = Worker
    ordering = ("miner_id", "id")

    def get_miners(self, entity: Any) -> QuerySet[Any] | list[Any]:
        raise NotImplementedError

    def get_rows(self) -> QuerySet[Any]:
        return Worker.objects.filter(miner__in=self.get_miners(self.get_object()))


class AccrualsView(ListView):
    permission = "accruals:read"
    serializer_class = AccrualSerializer
    filterset_class = DayFilters
    model = Accrual
    ordering = ("-day", "-id")

    def get_rows(self) -> QuerySet[Any]:
        return Accrual.objects.filter(entity=self.get_object())


class PaymentsView(ListView):
    permission = "payouts:read"
    serializer_class = PayoutSerializer
    model = Payout
    ordering = ("-paid_at", "-id")

    def get_rows(self) -> QuerySet[Any]:
        return Payout.objects.filter(entity=self.get_object()).select_related("wallet")
