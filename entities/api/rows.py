"""Lists that hang on an entity, the same for miners and hubs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import Model, QuerySet
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from entities.api.base import ListView
from entities.api.filters import Choice, Day, DayFilters, Identifier, ListFilters, Ordering
from entities.api.pagination import KeysetPagination
from entities.api.serializers import AccrualSerializer, PaymentSerializer, WorkerSerializer
from entities.models import Accrual, Payout, Worker
from entities.payments import PAYOUT, REWARD, TYPES, Payment, list_payments
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
    """Workers, which `workers_of` names."""

    permission = "workers:read"
    serializer_class = WorkerSerializer
    filterset_class = WorkerFilters
    model = Worker
    ordering = ("miner_id", "id")  # as the index lists them

    def workers_of(self, entity: Any) -> QuerySet[Any]:
        raise NotImplementedError

    def get_rows(self) -> QuerySet[Any]:
        return self.workers_of(self.get_object())


class AccrualsView(ListView):
    permission = "accruals:read"
    serializer_class = AccrualSerializer
    filterset_class = DayFilters
    model = Accrual
    ordering = ("-day", "-id")

    def get_rows(self) -> QuerySet[Any]:
        return Accrual.objects.filter(entity=self.get_object())


class PaymentFilters(ListFilters):
    type = Choice(*TYPES, label="Rewards or payouts alone.")
    since = Day(label="From this day on, in UTC.")
    until = Day(label="Up to this day, with it, in UTC.")
    currency = django_filters.CharFilter(max_length=8, label="Of this coin.")


class PaymentsPagination(KeysetPagination):
    """Pages of a list that two tables make: the cursor holds a moment and an id, whichever table they are of."""

    position: tuple[datetime, UUID] | None

    def open(self, request: Request, ordering: Sequence[str], model: type[Model]) -> None:
        super().open(request, ordering, model)
        cursor = request.query_params.get("cursor")
        self.position = None
        if cursor is not None:
            moment, last_id = self.signer.unsign_object(cursor)
            self.position = datetime.fromisoformat(moment), UUID(last_id)

    def take(self, payments: list[Payment]) -> list[Payment]:
        """The page out of its rows and one more, if there is one."""
        self.next = None
        if len(payments) > self.limit:
            payments = payments[: self.limit]
            moment, last_id = payments[-1].position
            self.next = self.signer.sign_object([moment.isoformat(), str(last_id)])
        return payments


class PaymentsView(ListView):
    """Rewards and payouts, newest first. Keys without accruals:read see payouts alone."""

    permission = "payouts:read"
    serializer_class = PaymentSerializer
    filterset_class = PaymentFilters
    pagination_class = PaymentsPagination
    paginator: PaymentsPagination
    # A payout's position stands for a reward's too.
    model = Payout
    ordering = ("-paid_at", "-id")

    def get(self, request: Request, environment: str, **kwargs: str) -> Response:
        self.open()
        asked = self.filters.form.cleaned_data
        payments = list_payments(
            self.get_object(),
            limit=self.paginator.limit + 1,
            after=self.paginator.position,
            types=self.choose_types(asked["type"]),
            since=asked["since"],
            until=asked["until"],
            coin=asked["currency"] or None,
        )
        return self.get_paginated_response(self.get_serializer(self.paginator.take(payments), many=True).data)

    def choose_types(self, asked: str) -> Collection[str]:
        """What the list holds. Raises PermissionDenied for rewards that the key may not see."""
        if "accruals:read" not in self.grant.permissions:
            if asked == REWARD:
                raise PermissionDenied("Rewards need accruals:read, which this key does not have.")
            return [PAYOUT]
        return [asked] if asked else TYPES
