"""A page as the database should cut it: pushed down to where rows are found, so that it never gathers the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet


def _all(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows


@dataclass(frozen=True)
class Cut:
    """Filters, order, where to go on, and how many rows.

    ``ordering`` ends in a column that tells rows apart, and every column goes the same way. ``after`` holds its
    values of the row to go on from. Where a method takes ``id_at``, this is the path of a column that holds the rows'
    ids and has the index to walk.
    """

    ordering: tuple[str, ...]
    after: Sequence[Any] | None
    size: int
    narrow: Callable[[QuerySet[Any]], QuerySet[Any]] = _all
    #: Whether one name is asked for: an index finds it sooner than the order's is walked.
    of_a_name: bool = False

    def __call__(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The page of ``rows``."""
        return self.first(rows.filter(self.beyond()))

    def first(self, rows: QuerySet[Any], id_at: str = "id") -> QuerySet[Any]:
        """The page of ``rows``, which hold only those `beyond` the cursor."""
        return self.narrow(rows).order_by(*self._by(id_at))[: self.size]

    def beyond(self, id_at: str = "id") -> Q:
        """Where to go on. Apart from `first`, since a path over many rows must be named within one ``filter()``."""
        return Q() if self.after is None else _beyond(self._by(id_at), self.after)

    def _by(self, id_at: str) -> list[str]:
        return [{"id": id_at, "-id": f"-{id_at}"}.get(column, column) for column in self.ordering]


def _beyond(ordering: Sequence[str], values: Sequence[Any]) -> Q:
    """Rows after ``values`` in ``ordering``, so written that an index on its columns is walked from there."""
    column, value = ordering[0], values[0]
    name, side = column.removeprefix("-"), "lt" if column.startswith("-") else "gt"
    after = Q(**{f"{name}__{side}": value})
    if len(ordering) == 1:
        return after
    return Q(**{f"{name}__{side}e": value}) & (after | _beyond(ordering[1:], values[1:]))
