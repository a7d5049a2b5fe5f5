"""Pages by keyset: the cursor says after which row to go on, so rows that come or go shift nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.core import signing
from django.core.exceptions import ValidationError as InvalidValue
from django.db.models import Model, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from entities.cuts import Cut

PAGE_PARAMETERS = ("cursor", "limit")

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class KeysetPagination(BasePagination):
    """``?limit=&cursor=``, answered as ``{"data": […], "page": {"limit", "next"}}``.

    DRF's CursorPagination compares the first column alone and counts an offset among equals, up to 1,000: one day's
    accruals of a large hub would never end.
    """

    DEFAULT_LIMIT = 50
    MAX_LIMIT = 500

    def open(self, request: Request, ordering: Sequence[str], model: type[Model]) -> None:
        """Read limit and cursor. ``ordering`` ends in a column that tells rows apart; every column goes the same way.

        Raises ValidationError.
        """
        self.ordering = ordering
        self.limit = read_limit(request.query_params.get("limit"), self.DEFAULT_LIMIT, self.MAX_LIMIT)
        # A cursor holds for the list that gave it: path, filters and order are part of its signature.
        filters = sorted((name, value) for name, value in request.query_params.items() if name not in PAGE_PARAMETERS)
        self.signer = signing.Signer(salt=repr((request.path, filters, ordering)), sep=".")
        cursor = request.query_params.get("cursor")
        after = None if cursor is None else _read_cursor(self.signer, cursor, model, ordering)
        #: The page's rows, and one more if there is one.
        self.cut = Cut(tuple(ordering), after, self.limit + 1)

    def fetch(self, queryset: QuerySet[Any]) -> list[Any]:
        rows = list(self.cut(queryset))
        self.next = None
        if len(rows) > self.limit:
            rows.pop()
            self.next = self.signer.sign_object([_as_text(rows[-1], column) for column in self.ordering])
        return rows

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The page as JSON Schema, for the API's description."""
        page = {
            "type": "object",
            "properties": {
                "limit": {"type": "integer"},
                "next": {"type": ["string", "null"], "description": "The cursor of the next page; null on the last."},
            },
            "required": ["limit", "next"],
        }
        return {"type": "object", "properties": {"data": schema, "page": page}, "required": ["data", "page"]}

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"data": data, "page": {"limit": self.limit, "next": self.next}})


def read_limit(text: str | None, default: int, maximum: int) -> int:
    """Return the page's size. Raises ValidationError."""
    if text is None:
        return default
    if not _NUMBER.fullmatch(text) or int(text) > maximum:
        raise ValidationError({"limit": [f"Give a whole number from 1 to {maximum}."]})
    return int(text)


def _read_cursor(signer: signing.Signer, cursor: str, model: type[Model], ordering: Sequence[str]) -> list[Any]:
    try:
        position = signer.unsign_object(cursor)
        return [_field(model, column).to_python(text) for column, text in zip(ordering, position, strict=True)]
    except (signing.BadSignature, InvalidValue):
        message = "Not a cursor of this list. Take “page.next” of its last page, and keep the other parameters."
        raise ValidationError({"cursor": [message]}) from None


def _as_text(row: Model, column: str) -> str:
    return str(_field(type(row), column).value_to_string(row))


def _field(model: type[Model], column: str) -> Any:
    return model._meta.get_field(column.removeprefix("-"))
