"""Searching names by any part of them, as the staff admin does, in tables of millions of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement
from django.utils.text import smart_split, unescape_string_literal

FEW = 500


class SearchIndex(models.Index):
    """On PostgreSQL finds rows by a part of one column, as ``icontains`` asks for it; elsewhere an ordinary index.

    Trigrams, which PostgreSQL brings along as an extension (https://www.postgresql.org/docs/current/pgtrgm.html). The
    owner of a database may add it; where the role that migrates may not, a superuser does so once before.
    """

    def create_sql(
        self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor, using: str = "", **kwargs: Any
    ) -> Statement:
        statement = super().create_sql(model, schema_editor, using=using, **kwargs)
        if schema_editor.connection.vendor != "postgresql":
            return statement
        (name,) = self.fields
        field: Any = model._meta.get_field(name)
        column = schema_editor.quote_name(field.column)
        statement.template = (
            "CREATE EXTENSION IF NOT EXISTS pg_trgm; "
            f"CREATE INDEX %(name)s ON %(table)s USING gin (UPPER({column}::text) gin_trgm_ops)"
        )
        return statement


def find(
    rows: models.QuerySet[Any], text: str, *columns: str, also: Callable[[str], models.Q] | None = None
) -> models.QuerySet[Any]:
    """``rows`` that hold each word of ``text`` in one of ``columns``, or of which ``also`` holds for the word."""
    for word in words_of(text):
        found = also(word) if also else models.Q()
        for column in columns:
            found |= models.Q(**{f"{column}__icontains": word})
        rows = rows.filter(found)
    return rows


def few(rows: models.QuerySet[Any]) -> models.QuerySet[Any] | list[Any]:
    """``rows`` for an ``__in``: their IDs while they are few, which an index is asked for; else as they are."""
    ids = list(rows.order_by().values_list("pk", flat=True)[: FEW + 1])
    return ids if len(ids) <= FEW else rows.order_by()


def words_of(text: str) -> Iterator[str]:
    """The words that somebody typed into a search; what stands in quotes is one."""
    for word in smart_split(text):
        quoted = len(word) > 1 and word[0] in "\"'" and word[0] == word[-1]
        yield unescape_string_literal(word) if quoted else word
