"""Query parameters of lists, by django-filter: what a list can be narrowed to and ordered by."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(_DAY.pattern + r"[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})")


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


class _DayField(forms.Field):
    def to_python(self, value: str | None) -> date | None:
        if not value:
            return None
        try:
            if _DAY.fullmatch(value):
                return date.fromisoformat(value)
        except ValueError:
            pass
        raise forms.ValidationError("Give a day like 2026-11-21.", code="invalid")


class _MomentField(forms.Field):
    def to_python(self, value: str | None) -> datetime | None:
        if not value:
            return None
        try:
            if _MOMENT.fullmatch(value):
                return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        raise forms.ValidationError("Give a moment with its offset, like 2026-11-21T12:00:00Z.", code="invalid")


class Day(django_filters.Filter):
    """A day as RFC 3339 writes it (``full-date``), and in no other way."""

    field_class = _DayField


class Moment(django_filters.Filter):
    """A moment as RFC 3339 writes it (``date-time``): without an offset it would be anybody's guess."""

    field_class = _MomentField


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
    currency = django_filters.CharFilter(field_name="coin", max_length=8, label="Of this coin.")
