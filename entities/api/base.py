"""What every view of the pool data API shares: permission, reach, query parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, NoReturn, cast
from uuid import UUID

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils import timezone
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from entities.api.pagination import PAGE_PARAMETERS, KeysetPagination
from entities.models import Entity
from entities.scoping import Grant, ScopedQuerySet


class EntityView(GenericAPIView):
    """A route about entities of one kind. It names the permission that it needs; without one it answers nobody."""

    http_method_names = ["get", "head"]
    pagination_class = KeysetPagination
    permission: ClassVar[str | None] = None
    entity: ClassVar[type[Entity]]
    #: The query parameters that the route knows, and those among them that may come several times.
    parameters: ClassVar[tuple[str, ...]] = ()
    repeatable: ClassVar[tuple[str, ...]] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method in ("GET", "HEAD"):
            check_parameters(request.query_params, self.parameters, self.repeatable)

    @cached_property
    def now(self) -> datetime:
        """One moment for the whole answer."""
        return timezone.now()

    @property
    def grant(self) -> Grant:
        return cast(Grant, self.request.auth)

    def reached(self, entity: type[Entity], only: Collection[UUID] | None = None) -> ScopedQuerySet:
        """The entities of a kind that this key reaches with the permission of this route."""
        assert self.permission is not None  # noqa: S101 the permission class refused the request otherwise
        return entity.objects.within(self.grant, self.permission, only=only)

    def get_queryset(self, only: Collection[UUID] | None = None) -> QuerySet[Any]:
        return self.reached(self.entity, only)

    def get_object(self) -> Any:
        """The entity in the path. Raises NotFound: malformed, unknown and out of reach are one answer."""
        try:
            return self.get_queryset(only=[parse_id(self.kwargs["entity_id"])]).get()
        except (ValueError, self.entity.DoesNotExist):
            raise NotFound from None

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "now": self.now}


class ListView(EntityView):
    """A page of the entities of a kind, or with `get_rows` overridden of what hangs on one."""

    parameters: ClassVar[tuple[str, ...]] = PAGE_PARAMETERS
    #: Read by the paginator: ends in a column that tells rows apart; every column goes the same way.
    ordering: ClassVar[tuple[str, ...]] = ("id",)

    def get(self, request: Request, environment: str, **kwargs: str) -> Response:
        page = self.paginate_queryset(self.get_rows())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def get_rows(self) -> QuerySet[Any]:
        return self.get_queryset()


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


def parse_id(text: str) -> UUID:
    """Return the UUID that ``text`` writes in its usual form, case aside (RFC 9562, section 4). Raises ValueError."""
    value = UUID(text)
    if str(value) != text.lower():
        raise ValueError("not in the usual form")
    return value


def check_parameters(query: QueryDict, known: Iterable[str], repeatable: Iterable[str]) -> None:
    """Raise ValidationError for parameters that are unknown, given twice or hold a NUL: never guess what was meant."""
    errors: dict[str, list[str]] = {}
    for name, values in query.lists():
        if name not in known:
            errors[name[:80]] = [f"Unknown parameter; known here: {', '.join(known) or 'none'}."]
        elif any("\0" in value for value in values):
            errors[name] = ["NUL characters are not allowed."]
        elif len(values) > 1 and name not in repeatable:
            errors[name] = ["Give it once."]
    if errors:
        raise ValidationError(errors)
