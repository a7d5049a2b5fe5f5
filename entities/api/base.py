"""What every view of the pool data API shares: permission, reach, query parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, NoReturn, cast
from uuid import UUID

from django.db.models import Model, QuerySet
from django.http import QueryDict
from django.utils import timezone
from django.views.decorators.http import conditional_page
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.fields import CharField, ChoiceField, DateField, DateTimeField, DecimalField, UUIDField
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from accounts.access_levels import PERMISSIONS, Action
from accounts.audit import Actor
from accounts.client_ip import client_ip
from entities.api.filters import ListFilters
from entities.api.ids import read_id
from entities.api.pagination import PAGE_PARAMETERS, KeysetPagination
from entities.cuts import Cut as Cut
from entities.models import Entity
from entities.scoping import Grant, ScopedQuerySet

#: What it takes to know that an entity is there.
SEE = "entities:read"

#: Text in JSON. DRF would take a number too: a name of 7, or an amount that went through binary floating point.
AS_TEXT = (CharField, ChoiceField, DecimalField, UUIDField, DateField, DateTimeField)


class EntityView(GenericAPIView):
    """A route about entities of one kind. It names the permission that it needs; without one it answers nobody.

    One that ``changes_slowly`` answers with an ETag, and 304 to whoever has that answer already.
    """

    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    pagination_class = KeysetPagination
    #: A name of `access_levels.PERMISSIONS`, or one for each method.
    permission: ClassVar[str | dict[str, str] | None] = None
    entity: ClassVar[type[Entity]]
    #: The query parameters that the route knows, and those among them that may come several times.
    parameters: ClassVar[tuple[str, ...]] = ()
    repeatable: ClassVar[tuple[str, ...]] = ()
    #: By method: what a write takes, and the status of success where it is not 200. `serializer_class` is the answer's.
    request_serializers: ClassVar[dict[str, type[Serializer[Any]]]] = {}
    success: ClassVar[dict[str, int]] = {}
    #: Methods that may answer 409.
    conflicts: ClassVar[tuple[str, ...]] = ()
    #: By method: the answer with status 202, where a write may wait for somebody else's consent.
    deferred: ClassVar[dict[str, type[Serializer[Any]]]] = {}
    changes_slowly: ClassVar[bool] = False

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        view = super().as_view(**initkwargs)
        return conditional_page(view) if cls.changes_slowly else view

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method in self.allowed_methods:
            check_parameters(request.query_params, self.known_parameters(), self.repeatable)

    def known_parameters(self) -> tuple[str, ...]:
        return self.parameters if self.request.method in ("GET", "HEAD") else ()

    @cached_property
    def now(self) -> datetime:
        """One moment for the whole answer."""
        return timezone.now()

    @property
    def grant(self) -> Grant:
        return cast(Grant, self.request.auth)

    @property
    def actor(self) -> Actor:
        """Who the audit trail says made a change: the key."""
        return Actor.for_key(self.grant.key_id, self.grant.name, client_ip(self.request._request))

    def read_body(self) -> dict[str, Any]:
        """Return the validated body of a write, by this method's `request_serializers`. Raises ValidationError."""
        method = str(self.request.method)
        return validate(
            self.request_serializers[method](
                data=self.request.data, partial=method == "PATCH", context=self.get_serializer_context()
            )
        )

    @property
    def needed(self) -> str:
        """The permission that this request needs; the permission class has refused keys without it."""
        if isinstance(self.permission, dict):
            return self.permission["GET" if self.request.method == "HEAD" else str(self.request.method)]
        assert self.permission is not None  # noqa: S101 nobody gets here
        return self.permission

    def reached(
        self,
        entity: type[Entity],
        only: Collection[UUID] | None = None,
        *,
        cut: Cut | None = None,
        permission: str | None = None,
    ) -> ScopedQuerySet:
        """The entities of a kind that this key reaches with the permission of this request, or with another."""
        return entity.objects.within(self.grant, permission or self.needed, only=only, cut=cut)

    def get_queryset(self, only: Collection[UUID] | None = None, cut: Cut | None = None) -> QuerySet[Any]:
        return self.reached(self.entity, only, cut=cut)

    def get_object(self) -> Any:
        """The entity in the path. Raises as `get_reached` does."""
        return self.get_reached(self.entity, self.kwargs["entity_id"])

    def get_reached(self, entity: type[Entity], text: str) -> Any:
        """Return the entity of the id ``text``. Malformed, unknown and out of reach are one answer.

        Raises NotFound; PermissionDenied when the key may see the entity, but not do this with it.
        """
        only = [read_id(text)]
        found = (self.get_queryset(only) if entity is self.entity else self.reached(entity, only)).first()
        if found is not None:
            return found
        if PERMISSIONS[self.needed].action is not Action.READ and self.sees(entity, only):
            noun = entity._meta.verbose_name
            raise PermissionDenied(
                f"This key may see this {noun}, but none of its scopes gives {self.needed} on it. "
                "Ask the account’s owner for a wider key."
            )
        raise NotFound

    def locate(self) -> None:
        """Find what the request names, as its handler would first of all, without handling it: for explanations.

        Raises NotFound and PermissionDenied, as the handler would. Writes nothing.
        """
        if "entity_id" in self.kwargs:
            self.get_object()

    def sees(self, entity: type[Entity], only: Collection[UUID]) -> bool:
        return SEE in self.grant.permissions and self.reached(entity, only, permission=SEE).exists()

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "now": self.now}


class ListView(EntityView):
    """A page of the entities of a kind, or with `get_rows` overridden of what hangs on one."""

    paginator: KeysetPagination
    filterset_class: ClassVar[type[ListFilters]] = ListFilters
    #: As long as the request names no other: ends in a column that tells rows apart; all columns go the same way.
    ordering: ClassVar[tuple[str, ...]] = ("id",)
    #: What the rows are, where they are no entities.
    model: ClassVar[type[Model] | None] = None

    def known_parameters(self) -> tuple[str, ...]:
        if self.request.method not in ("GET", "HEAD"):
            return ()
        return (*PAGE_PARAMETERS, *self.parameters, *self.filterset_class.parameters())

    def get(self, request: Request, environment: str, **kwargs: str) -> Response:
        self.open()
        rows = self.paginator.fetch(self.filters.filter_queryset(self.get_rows()))
        return self.get_paginated_response(self.get_serializer(rows, many=True).data)

    def open(self) -> None:
        """Read filters, order and page. Raises ValidationError."""
        model = self.model or self.entity
        self.filters = self.filterset_class(
            self.request.query_params, model._default_manager.none(), request=self.request
        )
        if not self.filters.is_valid():
            raise ValidationError(self.filters.errors)
        chosen = self.filters.form.cleaned_data.get("ordering")
        self.paginator.open(self.request, self.order_by(chosen) if chosen else self.ordering, model)

    def order_by(self, chosen: str) -> tuple[str, ...]:
        """``chosen``, and what tells rows apart that are equal in it."""
        sign, last = "-" if chosen.startswith("-") else "", self.ordering[-1].removeprefix("-")
        return (chosen,) if chosen == sign + last else (chosen, sign + last)

    def cut(self, **also: Any) -> Cut:
        """The page, with its filters and those of ``also``, for `reached` to push down."""
        return replace(
            self.paginator.cut,
            narrow=lambda rows: self.filters.filter_queryset(rows.filter(**also)),
            of_a_name=bool(self.filters.form.cleaned_data.get("name")),
        )

    def get_rows(self) -> QuerySet[Any]:
        return self.get_queryset(cut=self.cut())


class DetailView(EntityView):
    def get(self, request: Request, environment: str, entity_id: str) -> Response:
        return Response(self.get_serializer(self.get_object()).data)


class NoSuchRoute(APIView):
    """Whatever the mount does not know: to a key nothing is there, and without one a key is asked for."""

    http_method_names: list[str] = []
    permission = "any-key"  # as `apikeys.permissions.ANY_KEY`, which this app may not import

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:
        super().initial(request, *args, **kwargs)
        raise NotFound


def validate(serializer: Serializer[Any]) -> dict[str, Any]:
    """Return what ``serializer`` makes of its data. Raises ValidationError, also for fields that it doesn't know."""
    data = serializer.initial_data
    if isinstance(data, Mapping):
        errors = {str(name)[:80]: [error] for name, error in _misfits(serializer, data)}
        if errors:
            raise ValidationError(errors)
    serializer.is_valid(raise_exception=True)
    validated: dict[str, Any] = serializer.validated_data
    return validated


def _misfits(serializer: Serializer[Any], data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What DRF would pass over in silence: names of fields, and what is wrong with them."""
    known = {name: field for name, field in serializer.fields.items() if not field.read_only}
    for name, value in data.items():
        field = known.get(name)
        if field is None:
            yield name, f"Unknown field; known here: {', '.join(known) or 'none'}."
        elif isinstance(data, QueryDict) and len(data.getlist(name)) > 1:
            yield name, "Give it once."
        elif value == "" and not isinstance(field, CharField):
            yield name, "Give a value, or leave the field out. Where null is taken, only JSON can say it."
        elif isinstance(field, AS_TEXT) and not isinstance(value, str | None):
            yield name, "Give text, in quotes."


def check_parameters(query: QueryDict, known: Iterable[str], repeatable: Iterable[str]) -> None:
    """Raise ValidationError for parameters that are unknown, empty, given twice or hold a NUL: nothing is guessed."""
    errors: dict[str, list[str]] = {}
    for name, values in query.lists():
        if name not in known:
            errors[name[:80]] = [f"Unknown parameter; known here: {', '.join(known) or 'none'}."]
        elif any("\0" in value for value in values):
            errors[name] = ["NUL characters are not allowed."]
        elif not all(values):
            errors[name] = ["Give a value, or leave the parameter out."]
        elif len(values) > 1 and name not in repeatable:
            errors[name] = ["Give it once."]
    if errors:
        raise ValidationError(errors)
