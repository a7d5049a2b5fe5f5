"""``/hubs``: the hubs in reach, their clients, and what they earn."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import Case, Count, Exists, OuterRef, QuerySet, Subquery, When
from django.db.models.functions import Coalesce
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from entities import clients
from entities.api.base import Cut, DetailView, EntityView, ListView
from entities.api.filters import DayFilters, EntityFilters, Identifier, ListFilters, Ordering
from entities.api.hub_serializers import (
    HubAccrualSerializer,
    HubChangeSerializer,
    HubClientChangeSerializer,
    HubClientSerializer,
    HubDetailSerializer,
    HubFinanceSerializer,
    HubInvitationSerializer,
    HubSerializer,
    InviteSerializer,
)
from entities.api.ids import read_id
from entities.api.invitations import translate_refusals
from entities.api.rows import AccrualsView, PaymentsView, WorkersView
from entities.api.stats import StatsView, summarize_work
from entities.models import Accrual, Hub, HubClient, HubInvitation, Miner, Worker


def with_client_count(hubs: QuerySet[Any]) -> QuerySet[Any]:
    """Annotated with ``client_count``, counted for the page's rows alone."""
    # By the index alone: `served` would look up every client's miner, for rows that nothing can make.
    rows = HubClient.objects.filter(hub=OuterRef("pk")).order_by().values("hub")
    return hubs.annotate(client_count=Coalesce(Subquery(rows.annotate(n=Count("*")).values("n")), 0))


class HubView(EntityView):
    """Of a hub's clients, what this key reaches: with the hub all of them, but not with a key that never grows."""

    entity = Hub

    def clients_of(self, hub: Any) -> QuerySet[Any]:
        return self.among_reached(HubClient.objects.served().filter(hub=hub))

    def among_reached(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Of ``rows``, each of one miner, those that the key reaches."""
        return rows.filter(miner__in=self.reached(Miner).values("pk")) if self.grant.picked_only else rows


class HubList(ListView):
    """Hubs in reach"""

    entity = Hub
    changes_slowly = True
    permission = "entities:read"
    serializer_class = HubSerializer
    filterset_class = EntityFilters

    def get_queryset(self, only: Collection[UUID] | None = None, cut: Cut | None = None) -> QuerySet[Any]:
        return with_client_count(super().get_queryset(only, cut))


class HubDetail(DetailView):
    """One hub"""

    entity = Hub
    changes_slowly = True
    permission = {"GET": "entities:read", "PATCH": "hub-finance:write"}
    serializer_class = HubDetailSerializer
    request_serializers = {"PATCH": HubChangeSerializer}

    def get_queryset(self, only: Collection[UUID] | None = None, cut: Cut | None = None) -> QuerySet[Any]:
        return with_client_count(super().get_queryset(only, cut))

    def patch(self, request: Request, environment: str, entity_id: str) -> Response:
        """Set a hub's minimum payout; null goes back to the pool's."""
        hub = self.get_object()
        body = self.read_body()
        if "minimum_payout" in body:
            with translate_refusals():
                clients.set_minimum_payout(hub, body["minimum_payout"], actor=self.actor)
        return Response(self.get_serializer(hub).data)


class ClientFilters(ListFilters):
    miner = Identifier(field_name="miner_id", label="This miner.")
    search = django_filters.CharFilter(
        field_name="miner__name", lookup_expr="icontains", max_length=120, label="Miners' names that contain this."
    )
    ordering = Ordering("joined_at")


class HubClients(HubView, ListView):
    """The miners that a hub serves, in the order in which they joined"""

    permission = {"GET": "clients:read", "POST": "clients:write"}
    serializer_class = HubClientSerializer
    request_serializers = {"POST": InviteSerializer}
    success = {"POST": status.HTTP_201_CREATED}
    conflicts = ("POST",)
    deferred = {"POST": HubInvitationSerializer}
    filterset_class = ClientFilters
    model = HubClient
    ordering = ("joined_at", "miner_id")

    def get_rows(self) -> QuerySet[Any]:
        return self.clients_of(self.get_object()).select_related("miner")

    def post(self, request: Request, environment: str, entity_id: str) -> Response:
        """Add a miner of the account's own, or invite any other: its owner accepts before it joins."""
        hub = self.get_object()
        body = self.read_body()
        miner_id, terms = body["miner_id"], {"commission": body["commission"], "comment": body.get("comment", "")}
        own = self.reached(Miner, [miner_id]).filter(account=self.grant.account_id).first()
        with translate_refusals():
            if own is not None:
                client = clients.add(hub, own, **terms, actor=self.actor)
                return Response(self.get_serializer(client).data, status=status.HTTP_201_CREATED)
            invitation = clients.invite(hub, miner_id, **terms, actor=self.actor)
        return Response(HubInvitationSerializer(invitation).data, status=status.HTTP_202_ACCEPTED)


class HubClientDetail(HubView):
    """One client of a hub"""

    permission = {"GET": "clients:read", "PATCH": "hub-finance:write", "DELETE": "clients:write"}
    serializer_class = HubClientSerializer
    request_serializers = {"PATCH": HubClientChangeSerializer}
    success = {"DELETE": status.HTTP_204_NO_CONTENT}
    conflicts = ("PATCH",)
    deferred = {"PATCH": HubInvitationSerializer}

    def get_client(self) -> HubClient:
        """The client in the path. Raises NotFound."""
        return self.find_client(self.get_object(), read_id(self.kwargs["miner_id"]))

    def locate(self) -> None:
        self.get_client()

    def get(self, request: Request, environment: str, entity_id: str, miner_id: str) -> Response:
        """One client of a hub."""
        return Response(self.get_serializer(self.get_client()).data)

    def find_client(self, hub: Any, miner_id: UUID) -> HubClient:
        """Return what ``hub`` has agreed with the miner. Raises NotFound where the key doesn't reach it."""
        served: HubClient | None = self.clients_of(hub).select_related("miner").filter(miner=miner_id).first()
        if served is None:
            raise NotFound
        return served

    def patch(self, request: Request, environment: str, entity_id: str, miner_id: str) -> Response:
        """Set a client's commission or comment.

        A commission that another account's miner would pay more by is an offer to that account, answered with 202.
        """
        hub, miner = self.get_object(), read_id(miner_id)
        body = self.read_body()
        if self.grant.picked_only:
            self.find_client(hub, miner)
        with translate_refusals():
            result = clients.change(hub, miner, body, actor=self.actor)
        if isinstance(result, HubInvitation):
            return Response(HubInvitationSerializer(result).data, status=status.HTTP_202_ACCEPTED)
        return Response(self.get_serializer(result).data)

    def delete(self, request: Request, environment: str, entity_id: str, miner_id: str) -> Response:
        """Serve a miner no longer: the hub's keys lose it at once."""
        hub, miner = self.get_object(), read_id(miner_id)
        if self.grant.picked_only:
            self.find_client(hub, miner)
        with translate_refusals():
            clients.remove(hub, miner, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class HubWorkers(HubView, WorkersView):
    """Workers of a hub's clients"""

    def workers_of(self, entity: Any) -> QuerySet[Any]:
        return self.among_reached(Worker.objects.of_clients(entity))


class HubStats(HubView, StatsView):
    """Statistics over a hub's clients"""

    def summarize(self, entity: Any) -> dict[str, Any]:
        return summarize_work(self.clients_of(entity).values("miner"), self.now)


class HubAccruals(AccrualsView):
    """What a hub earned by day and client, newest first."""

    entity = Hub
    serializer_class = HubAccrualSerializer


class HubPayments(PaymentsView):
    """A hub's daily commissions and its payouts, newest first."""

    entity = Hub


class FinanceFilters(DayFilters):
    client = Identifier(field_name="client_id", label="Earned from this miner.")


class HubFinance(HubView, ListView):
    """A hub's commission by client and day, newest first"""

    permission = "hub-finance:read"
    serializer_class = HubFinanceSerializer
    filterset_class = FinanceFilters
    model = Accrual
    ordering = ("-day", "-id")

    def get_rows(self) -> QuerySet[Any]:
        rows = Accrual.objects.filter(entity=self.get_object(), client__isnull=False)
        # What a miner earned is its own: the hub sees it while it serves the miner, and no longer.
        served = self.clients_of(OuterRef("entity")).filter(miner=OuterRef("client"))
        own = Accrual.objects.filter(
            entity=OuterRef("client"), client=None, day=OuterRef("day"), coin=OuterRef("coin")
        ).values("amount")
        return rows.annotate(earned=Case(When(Exists(served), then=Subquery(own))))
