"""``/ingest/…``: the pool's own backend sends its data in, as `manage.py import_pool_data` reads it from files."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from typing import Any, ClassVar

from django.conf import settings
from django.utils.module_loading import import_string
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from entities.api.base import EntityView
from entities.ingest import columns
from entities.ingest.batches import RowError
from entities.ingest.importing import Counts, import_rows
from entities.ingest.kinds import ROW_KINDS, RowKind
from entities.ingest.reading import RawRow, Unreadable, read_csv, read_list, read_ndjson
from entities.models import Entity

MAX_ROWS = 20_000
MAX_ERRORS = 100


class RowErrorSerializer(serializers.Serializer[Any]):
    row = serializers.IntegerField(help_text="The line, or in a JSON array the place, from 1.")
    column = serializers.CharField(help_text="Empty where the whole row is meant.", allow_blank=True)
    message = serializers.CharField(source="__str__", help_text="What is wrong, and what would be right.")


class ImportResultSerializer(serializers.Serializer[Any]):
    received = serializers.IntegerField(help_text="Rows, the sum of the four below.")
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField(help_text="Rows that were stored so already.")
    refused = serializers.IntegerField(help_text="Rows that could not be taken; “errors” says why.")
    errors = RowErrorSerializer(many=True, help_text=f"The first {MAX_ERRORS}.")  # type: ignore[assignment]


def rows_serializer(kind: RowKind) -> Any:
    """What a JSON body holds, for the documentation: the import itself reads rows one by one."""
    fields = {column.name: _field(column) for column in kind.columns}
    row = type(f"{kind.name.capitalize()}RowSerializer", (serializers.Serializer,), fields)
    return type(f"{kind.name.capitalize()}RowsSerializer", (serializers.ListSerializer,), {"child": row()})


def _field(column: columns.Column) -> serializers.Field[Any, Any, Any, Any]:
    about: dict[str, Any] = {
        "help_text": f"{column.meaning.capitalize()}: {column.type.words}.".replace("`", ""),
        "required": column.required,
        "allow_null": not column.required,
    }
    if column.type is columns.WHOLE:
        return serializers.IntegerField(min_value=0, max_value=columns.MOST_WHOLE, **about)
    return serializers.CharField(**about)


class IngestView(EntityView):
    """Answers 200 with what became of the rows, be it that all were refused. The same body again changes nothing."""

    permission = "ingest:write"
    http_method_names = ["put"]
    entity = Entity
    serializer_class = ImportResultSerializer
    max_body_bytes = 8 * 1024 * 1024
    kind: ClassVar[RowKind]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.request_serializers = {"PUT": rows_serializer(cls.kind)}

    def get_parsers(self) -> list[BaseParser]:
        return [import_string(name)() for name in settings.PITHEAD_INGEST_PARSERS]

    def put(self, request: Request, environment: str) -> Response:
        counts = Counts()
        errors: list[RowError] = []
        import_rows(
            self.kind,
            self.read_rows(),
            environment=environment,
            actor=self.actor,
            source="request",
            counts=counts,
            on_error=lambda error: errors.append(error) if len(errors) < MAX_ERRORS else None,
        )
        return Response(self.get_serializer({**vars(counts), "errors": errors}).data)

    def read_rows(self) -> list[RawRow]:
        """The rows of the body. Raises ParseError where it can't be read as a whole, or holds too many."""
        try:
            rows = list(islice(self.open_rows(), MAX_ROWS + 1))
        except Unreadable as error:
            raise ParseError(f"Line {error.line}: {error}") from None
        if len(rows) > MAX_ROWS:
            raise ParseError(f"Send at most {MAX_ROWS:,} rows at once.")
        return rows

    def open_rows(self) -> Iterator[RawRow]:
        data = self.request.data
        if isinstance(data, BytesIO):
            is_csv = str(self.request.content_type).lower().startswith("text/csv")
            return (read_csv if is_csv else read_ndjson)(data, self.kind)
        if not isinstance(data, list):
            raise ParseError("Send the rows: a JSON array of objects, application/x-ndjson or text/csv.")
        return read_list(data)


class IngestPools(IngestView):
    """Send pools in."""

    kind = ROW_KINDS["pools"]


class IngestHubs(IngestView):
    """Send hubs in."""

    kind = ROW_KINDS["hubs"]


class IngestMiners(IngestView):
    """Send miners in, with their hub and wallet."""

    kind = ROW_KINDS["miners"]


class IngestWorkers(IngestView):
    """Send workers in, and what they do."""

    kind = ROW_KINDS["workers"]


class IngestHashrate(IngestView):
    """Send hourly hashrate in."""

    kind = ROW_KINDS["hashrate"]


class IngestAccruals(IngestView):
    """Send accruals in."""

    kind = ROW_KINDS["accruals"]


class IngestPayouts(IngestView):
    """Send payouts in."""

    kind = ROW_KINDS["payouts"]
