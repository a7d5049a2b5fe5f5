"""``/workers``: machines by their own ids, their groups, and names for new ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django_filters
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import QuerySet
from rest_framework import status
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from entities import workers
from entities.api.base import SEE, EntityView, ListView
from entities.api.filters import ListFilters, Ordering
from entities.api.ids import read_ids
from entities.api.parts import NOBODY, PartView
from entities.api.serializers import (
    RandomNameSerializer,
    WorkerChangeSerializer,
    WorkerGroupNameSerializer,
    WorkerGroupSerializer,
    WorkerSerializer,
    WorkersStatsSerializer,
)
from entities.models import Miner, Worker, WorkerGroup
from entities.names import NameTaken, random_miner_name

READ, WRITE = "workers:read", "workers:write"


@contextmanager
def translate_refusals(noun: str) -> Iterator[None]:
    """What `entities.workers` raises, as the API answers it."""
    try:
        yield
    except NameTaken:
        raise ValidationError({"name": [f"Another {noun} of this miner has this name."]}) from None
    except ObjectDoesNotExist:
        raise NotFound from None


class WorkerDetail(PartView):
    """One worker"""

    entity = Miner
    model = Worker
    holder = "miner"
    id_parameter = "worker_id"
    permission = {"GET": READ, "PATCH": WRITE}
    serializer_class = WorkerSerializer
    request_serializers = {"PATCH": WorkerChangeSerializer}

    def get(self, request: Request, environment: str, worker_id: str) -> Response:
        return Response(self.get_serializer(self.get_object()).data)

    def patch(self, request: Request, environment: str, worker_id: str) -> Response:
        """Rename a worker, or put it in a group of its miner or in none."""
        worker, values = self.get_object(), self.read_body()
        with translate_refusals("worker"):
            try:
                worker = workers.update_worker(worker, actor=self.actor, by=self.grant.account_id, **values)
            except WorkerGroup.DoesNotExist:
                raise ValidationError({"group": ["No group of this miner has this ID."]}) from None
        return Response(self.get_serializer(worker).data)


class WorkersStats(EntityView):
    """How several workers do, by their IDs: of those that “id” names, 100 at most"""

    entity = Miner
    permission = READ
    serializer_class = WorkersStatsSerializer
    parameters = ("id",)
    repeatable = ("id",)

    def get(self, request: Request, environment: str) -> Response:
        return Response(self.get_serializer(self.find(request.query_params.getlist("id"))).data)

    def locate(self) -> None:
        if texts := self.request.query_params.getlist("id"):
            self.find(texts)

    def find(self, texts: list[str]) -> list[Worker]:
        """The asked workers by id. Raises NotFound if one of them is malformed, unknown or out of reach."""
        if not texts:
            raise ValidationError({"id": ["Give the ID of a worker, or of several."]})
        asked = read_ids(texts)
        found = list(Worker.objects.filter(pk__in=asked).order_by("id"))
        # Ids that nothing has take the time of those out of reach.
        miners = {worker.miner_id for worker in found} or {NOBODY}
        reached = self.reached(Miner, miners).count()
        if len(found) != len(asked) or reached != len(miners):
            raise NotFound
        return found


class RandomName(EntityView):
    """A name for a new miner, which no miner of the account has"""

    entity = Miner
    permission = SEE
    serializer_class = RandomNameSerializer

    def get(self, request: Request, environment: str) -> Response:
        name = random_miner_name(self.grant.account_id, self.grant.environment)
        return Response(self.get_serializer({"name": name}).data)


class GroupFilters(ListFilters):
    name = django_filters.CharFilter(max_length=120, label="Exactly this name.")
    ordering = Ordering("id", "name")


class MinerGroups(ListView):
    """The groups of a miner's workers"""

    entity = Miner
    permission = {"GET": READ, "POST": WRITE}
    serializer_class = WorkerGroupSerializer
    request_serializers = {"POST": WorkerGroupNameSerializer}
    success = {"POST": status.HTTP_201_CREATED}
    filterset_class = GroupFilters
    model = WorkerGroup

    def get_rows(self) -> QuerySet[Any]:
        return WorkerGroup.objects.filter(miner=self.get_object())

    def post(self, request: Request, environment: str, entity_id: str) -> Response:
        """Make a group without workers."""
        miner, values = self.get_object(), self.read_body()
        with translate_refusals("group"):
            group = workers.create_group(miner, name=values["name"], actor=self.actor, by=self.grant.account_id)
        return Response(self.get_serializer(group).data, status=status.HTTP_201_CREATED)


class GroupDetail(PartView):
    """One group of a miner's workers"""

    entity = Miner
    model = WorkerGroup
    holder = "miner"
    id_parameter = "group_id"
    permission = {"GET": READ, "PATCH": WRITE, "DELETE": WRITE}
    serializer_class = WorkerGroupSerializer
    request_serializers = {"PATCH": WorkerGroupNameSerializer}
    success = {"DELETE": status.HTTP_204_NO_CONTENT}

    def get(self, request: Request, environment: str, group_id: str) -> Response:
        return Response(self.get_serializer(self.get_object()).data)

    def patch(self, request: Request, environment: str, group_id: str) -> Response:
        """Rename a group."""
        group, values = self.get_object(), self.read_body()
        if values:
            with translate_refusals("group"):
                group = workers.rename_group(group, name=values["name"], actor=self.actor, by=self.grant.account_id)
        return Response(self.get_serializer(group).data)

    def delete(self, request: Request, environment: str, group_id: str) -> Response:
        """Remove a group; its workers stay, without a group."""
        group = self.get_object()
        with translate_refusals("group"):
            workers.delete_group(group, actor=self.actor, by=self.grant.account_id)
        return Response(status=status.HTTP_204_NO_CONTENT)
