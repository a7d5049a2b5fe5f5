"""How the staff admin counts and pages lists of any length: exactly while that is quick, then about."""

from __future__ import annotations

import json
from typing import Any

from django.core.paginator import Page, Paginator
from django.db import OperationalError, connections, transaction
from django.utils.functional import cached_property

#: Rows that are counted one by one, and that pages lead to: beyond them a filter or a search is quicker than leafing.
MOST_COUNTED = 10_000
#: How long PostgreSQL may count, in ms, before its planner's estimate has to do.
COUNTING_TIME = 150
QUERY_CANCELED = "57014"


class CappedPaginator(Paginator):
    """Pages over the first `MOST_COUNTED` rows. ``count`` is of these; ``total`` says in words how many there are."""

    @cached_property
    def _counted(self) -> int:
        """The number of rows; one more than `MOST_COUNTED` where they are more, or where counting takes too long."""
        rows: Any = self.object_list
        rows = rows.order_by().values("pk")[: MOST_COUNTED + 1]
        connection = connections[rows.db]
        if connection.vendor != "postgresql":
            return int(rows.count())
        try:
            with transaction.atomic(using=rows.db), connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(COUNTING_TIME)])
                counted = int(rows.count())
                cursor.execute("SET LOCAL statement_timeout TO DEFAULT")  # a transaction around us goes on
                return counted
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != QUERY_CANCELED:
                raise
            return MOST_COUNTED + 1

    @cached_property
    def count(self) -> int:
        return min(self._counted, MOST_COUNTED)

    @property
    def is_capped(self) -> bool:
        return self._counted > MOST_COUNTED

    @cached_property
    def total(self) -> str:
        """``1,234``; ``about 812,000`` where the database's planner has an estimate; else ``more than 10,000``."""
        if not self.is_capped:
            return f"{self.count:,}"
        estimate = self._estimate()
        return f"about {_rounded(estimate):,}" if estimate > MOST_COUNTED else f"more than {MOST_COUNTED:,}"

    def page(self, number: int | str) -> Page:
        """The rows of a page: which ones they are first, then all of them, so that no join is made for other rows."""
        number = self.validate_number(number)
        bottom = (number - 1) * self.per_page
        rows: Any = self.object_list
        wanted = list(rows.values_list("pk", flat=True)[bottom : min(bottom + self.per_page, self.count)])
        return Page(rows.filter(pk__in=wanted), number, self)

    def _estimate(self) -> int:
        """The planner's estimate of the rows; 0 where there is none."""
        rows: Any = self.object_list
        if connections[rows.db].vendor != "postgresql":
            return 0
        (plan,) = json.loads(rows.order_by().values("pk").explain(format="json"))
        return int(plan["Plan"]["Plan Rows"])


def _rounded(number: int) -> int:
    """To two digits: an estimate that says more would say too much."""
    zeros = len(str(number)) - 2
    return int(round(number, -zeros)) if zeros > 0 else number
