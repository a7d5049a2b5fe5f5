"""Invitations to a hub, on both sides, and the hubs that serve a miner, on the miner's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import QuerySet
from rest_framework import status
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from entities import clients
from entities.api.base import EntityView, ListView
from entities.api.errors import Conflict
from entities.api.filters import Identifier, ListFilters
from entities.api.hub_serializers import (
    HubClientSerializer,
    HubInvitationSerializer,
    MinerHubSerializer,
    MinerInvitationSerializer,
)
from entities.api.ids import read_id
from entities.models import Hub, HubClient, HubInvitation, Miner


@contextmanager
def translate_refusals() -> Iterator[None]:
    """What `entities.clients` raises, as the API answers it."""
    try:
        yield
    except ObjectDoesNotExist:
        raise NotFound from None
    except clients.Refused as refused:
        raise Conflict(str(refused)) from None


class InvitationFilters(ListFilters):
    miner = Identifier(field_name="miner_id", label="Of this miner.")


class HubInvitations(ListView):
    """A hub's invitations that wait for an answer"""

    entity = Hub
    permission = "clients:read"
    serializer_class = HubInvitationSerializer
    filterset_class = InvitationFilters
    model = HubInvitation

    def get_rows(self) -> QuerySet[Any]:
        return HubInvitation.objects.filter(hub=self.get_object())


class HubInvitationDetail(EntityView):
    """One invitation of a hub"""

    entity = Hub
    permission = {"DELETE": "clients:write"}
    success = {"DELETE": status.HTTP_204_NO_CONTENT}

    def locate(self) -> None:
        hub = self.get_object()
        with translate_refusals():
            hub.invitations.get(pk=read_id(self.kwargs["invitation_id"]))

    def delete(self, request: Request, environment: str, entity_id: str, invitation_id: str) -> Response:
        """Withdraw an invitation."""
        hub, invitation = self.get_object(), read_id(invitation_id)
        with translate_refusals():
            clients.withdraw(hub, invitation, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class OwnMinerView(EntityView):
    """What only the account that owns a miner decides: a hub must not accept its own offers for a client."""

    entity = Miner

    def get_object(self) -> Any:
        miner = super().get_object()
        if miner.account_id != self.grant.account_id:
            raise PermissionDenied(
                "This key reaches the miner as a client of a hub. Which hubs serve a miner is up to the account that "
                "owns it."
            )
        return miner


class MinerInvitations(OwnMinerView, ListView):
    """Invitations of hubs that a miner may accept"""

    permission = "settings:read"
    serializer_class = MinerInvitationSerializer
    model = HubInvitation

    def get_rows(self) -> QuerySet[Any]:
        return clients.invitations_of(self.get_object()).select_related("hub")


class MinerInvitationView(OwnMinerView):
    def locate(self) -> None:
        miner = self.get_object()
        with translate_refusals():
            clients.invitations_of(miner).get(pk=read_id(self.kwargs["invitation_id"]))


class MinerInvitationDetail(MinerInvitationView):
    """One invitation to a miner"""

    permission = {"DELETE": "settings:write"}
    success = {"DELETE": status.HTTP_204_NO_CONTENT}

    def delete(self, request: Request, environment: str, entity_id: str, invitation_id: str) -> Response:
        """Decline an invitation."""
        miner, invitation = self.get_object(), read_id(invitation_id)
        with translate_refusals():
            clients.decline(miner, invitation, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class MinerInvitationAcceptance(MinerInvitationView):
    """Acceptance of an invitation"""

    permission = {"POST": "settings:write"}
    serializer_class = HubClientSerializer
    success = {"POST": status.HTTP_201_CREATED}

    def post(self, request: Request, environment: str, entity_id: str, invitation_id: str) -> Response:
        """Accept an invitation: the hub's keys reach the miner from the next request on."""
        miner, invitation = self.get_object(), read_id(invitation_id)
        with translate_refusals():
            client = clients.accept(miner, invitation, actor=self.actor)
        return Response(self.get_serializer(client).data, status=status.HTTP_201_CREATED)


class MinerHubs(OwnMinerView, ListView):
    """The hubs that serve a miner, in the order in which it joined them"""

    permission = "settings:read"
    serializer_class = MinerHubSerializer
    model = HubClient
    ordering = ("joined_at", "hub_id")

    def get_rows(self) -> QuerySet[Any]:
        return HubClient.objects.served().filter(miner=self.get_object()).select_related("hub")


class MinerHubDetail(OwnMinerView):
    """One hub that serves a miner"""

    permission = {"DELETE": "settings:write"}
    success = {"DELETE": status.HTTP_204_NO_CONTENT}

    def locate(self) -> None:
        miner = self.get_object()
        with translate_refusals():
            HubClient.objects.served().get(miner=miner, hub=read_id(self.kwargs["hub_id"]))

    def delete(self, request: Request, environment: str, entity_id: str, hub_id: str) -> Response:
        """Leave a hub: its keys lose the miner at once."""
        miner, hub = self.get_object(), read_id(hub_id)
        with translate_refusals():
            clients.leave(miner, hub, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)
