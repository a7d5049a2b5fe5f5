"""Lists that hang on an entity, the same for miners and hubs."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError

from entities.api.base import ListView
from entities.api.pagination import PAGE_PARAMETERS
from entities.api.serializers import AccrualSerializer, PayoutSerializer, WorkerSerializer
from entities.models import Accrual, Payout, Worker
from entities.querysets import WORKER_STATUSES


class WorkersView(ListView):
    """Workers of the miners that `get_miners` names; ``?status=`` narrows."""

    permission = "workers:read"
    serializer_class = WorkerSerializer
    parameters = (*PAGE_PARAMETERS, "status")

    def get_miners(self, entity: Any) -> QuerySet[Any] | list[Any]:
        raise NotImplementedError

    def get_rows(self) -> QuerySet[Any]:
        status = self.request.query_params.get("status")
        if status is not None and status not in WORKER_STATUSES:
            raise ValidationError({"status": [f"Give one of {', '.join(WORKER_STATUSES)}."]})
        workers = Worker.objects.filter(miner__in=self.get_miners(self.get_object()))
        return workers if status is None else workers.in_status(status, self.now)


class AccrualsView(ListView):
    permission = "accruals:read"
    serializer_class = AccrualSerializer
    ordering = ("-day", "-id")

    def get_rows(self) -> QuerySet[Any]:
        return Accrual.objects.filter(entity=self.get_object())


class PaymentsView(ListView):
    permission = "payouts:read"
    serializer_class = PayoutSerializer
    ordering = ("-paid_at", "-id")

    def get_rows(self) -> QuerySet[Any]:
        return Payout.objects.filter(entity=self.get_object()).select_related("wallet")
