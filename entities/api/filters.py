"""Query parameters of lists, by django-filter: what a list can be narrowed to and ordered by."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.forms import DateField


class Ordering(django_filters.ChoiceFilter):
    """``?ordering=name`` or ``-name``. Says which; the page orders, since it must know to go on from a cursor.

    ``columns`` are never NULL, for no row comes after NULL.
    """

    def __init__(self, *columns: str) -> None:
        names = [name for column in columns for name in (column, f"-{column}")]
        super().__init__(
            choices=[(name, name) for name in names],
            error_messages={"invalid_choice": f"Give one of {', '.join(names)}."},
            label="How the rows are ordered; “-” in front turns it round.",
        )

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        return qs


class Choice(django_filters.ChoiceFilter):
    """One of a few words; the error lists them."""

    def __init__(self, *names: str, **kwargs: Any) -> None:
        super().__init__(
            choices=[(name, name) for name in names],
            error_messages={"invalid_choice": f"Give one of {', '.join(names)}."},
            **kwargs,
        )


class _IsoDateField(DateField):
    def __init__(self, **kwargs: Any) -> None:
        message = "Give a day like 2026-11-21."
        super().__init__(**{**kwargs, "input_formats": ["%Y-%m-%d"], "error_messages": {"invalid": message}})


class Day(django_filters.DateFilter):
    """A day as ISO 8601 writes it, and in no other way."""

    field_class = _IsoDateField


class Moment(django_filters.IsoDateTimeFilter):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(error_messages={"invalid": "Give a moment like 2026-11-21T12:00:00Z."}, **kwargs)


class Identifier(django_filters.UUIDFilter):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(error_messages={"invalid": "Give an ID."}, **kwargs)


class ListFilters(django_filters.FilterSet):
    """What every list's parameters come from; without filters of its own it takes none."""

    @classmethod
    def parameters(cls) -> tuple[str, ...]:
        return tuple(cls.base_filters)


class EntityFilters(ListFilters):
    """Of lists of miners and hubs."""

    name = django_filters.CharFilter(max_length=120, label="Exactly this name.")
    search = django_filters.CharFilter(
        field_name="name", lookup_expr="icontains", max_length=120, label="Names that contain this, case aside."
    )
    pool = Identifier(field_name="pool_id", label="Mining on this pool.")
    created_after = Moment(field_name="created_at", lookup_expr="gt", label="Made after this moment.")
    created_before = Moment(field_name="created_at", lookup_expr="lt", label="Made before this moment.")
    ordering = Ordering("id", "name", "created_at")


class PoolFilters(EntityFilters):
    pool = None  # type: ignore[assignment]


class DayFilters(ListFilters):
    """Of lists with a ``day`` a row."""

    since = Day(field_name="day", lookup_expr="gte", label="From this day on.")
    until = Day(field_name="day", lookup_expr="lte", label="Up to this day, with it.")
    coin = django_filters.CharFilter(max_length=8, label="Of this coin.")
