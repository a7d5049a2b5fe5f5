"""What the audit trail in the staff admin is narrowed by."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.audit import SECURITY
from accounts.models import AuditEvent, User

#: From each action to the next by the index: DISTINCT would read all the events for some sixty words.
_ACTIONS = """
    WITH RECURSIVE found (action) AS (
        SELECT min(action) FROM accounts_auditevent
        UNION ALL
        SELECT (SELECT min(action) FROM accounts_auditevent WHERE action > found.action)
        FROM found WHERE found.action IS NOT NULL
    )
    SELECT action FROM found WHERE action IS NOT NULL
"""


class TargetFilter(admin.SimpleListFilter):
    """The history of one row: ``?target=apikey:key_…``. Shows itself only while it narrows the list."""

    title = "target"
    parameter_name = "target"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = self.value()
        if not value:
            return []
        latest = self.queryset(request, AuditEvent.objects.all()).first()
        return [(value, latest.target_name if latest else value)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value:
            return queryset
        kind, _, target_id = value.rpartition(":")
        queryset = queryset.filter(target_id=target_id)
        return queryset.filter(target_type=kind) if kind else queryset


class ActorFilter(admin.SimpleListFilter):
    """What one person did: ``?actor=17``. Shows itself only while it narrows the list."""

    title = "person"
    parameter_name = "actor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = self.value()
        if not value:
            return []
        person = User.objects.filter(pk=_number(value)).first()
        return [(value, str(person) if person else "Unknown")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(actor_id=_number(self.value())) if self.value() else queryset


class SecurityFilter(admin.SimpleListFilter):
    """What staff look for first after an incident: `accounts.audit.SECURITY_ACTIONS`."""

    title = "concern"
    parameter_name = "security"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Security events")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case None | "":
                return queryset
            case "1":
                return queryset.filter(SECURITY)
        return queryset.none()


class ViaFilter(admin.SimpleListFilter):
    title = "way"
    parameter_name = "via"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(AuditEvent.VIA.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(via=self.value()) if self.value() else queryset


class ActionFilter(admin.SimpleListFilter):
    """One of the actions that there are, or all that begin with a noun: ``key.revoked``, ``key.``."""

    title = "action"
    parameter_name = "action"
    template = "admin/action_filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        with connection.cursor() as cursor:
            cursor.execute(_ACTIONS)
            return [(action, action) for (action,) in cursor.fetchall()]

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value:
            return queryset
        return queryset.filter(action__startswith=value) if value.endswith(".") else queryset.filter(action=value)

    def choices(self, changelist: Any) -> Iterator[Any]:
        self.kept = kept_parameters(changelist, self.parameter_name)
        value = self.value() or ""
        yield {"noun": "", "options": [("", "All actions", not value)]}
        for noun, found in groupby(self.lookup_choices, key=lambda choice: str(choice[0]).partition(".")[0]):
            actions = [str(action) for action, _words in found]
            options = [(action, action, action == value) for action in actions]
            if len(actions) > 1:
                options.insert(0, (f"{noun}.", f"{noun}: all", value == f"{noun}."))
            yield {"noun": noun, "options": options}


class WhenFilter(admin.ListFilter):
    """The last day, week or month; or from one day to another, both of them whole, in UTC."""

    title = "time"
    template = "admin/when_filter.html"
    SPANS = {"day": ("Last 24 hours", 1), "week": ("Last 7 days", 7), "month": ("Last 30 days", 30)}
    parameter_names = ("when", "since", "until")

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        values = {name: params.pop(name)[-1] for name in self.parameter_names if name in params}
        self.when = values.get("when", "")
        if self.when and self.when not in self.SPANS:
            raise IncorrectLookupParameters("when")
        self.since, self.until = _day(values.get("since", "")), _day(values.get("until", ""))

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.parameter_names)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.when:
            queryset = queryset.filter(at__gte=timezone.now() - timedelta(days=self.SPANS[self.when][1]))
        if self.since:
            queryset = queryset.filter(at__gte=datetime.combine(self.since, time.min, UTC))
        if self.until:
            queryset = queryset.filter(at__lte=datetime.combine(self.until, time.max, UTC))
        return queryset

    def choices(self, changelist: Any) -> Iterator[Any]:
        self.kept = kept_parameters(changelist, *self.parameter_names)
        for value, words in [("", "Any time"), *((name, words) for name, (words, _days) in self.SPANS.items())]:
            new, gone = ({"when": value}, ("since", "until")) if value else ({}, self.parameter_names)
            yield {
                "selected": not (self.since or self.until) and self.when == value,
                "query_string": changelist.get_query_string(new, gone),
                "display": words,
            }


def kept_parameters(changelist: Any, *names: str) -> list[tuple[str, str]]:
    """The list's other filters and its search: what a filter's own form sends along, as hidden fields."""
    kept = [
        (name, value)
        for name, values in changelist.get_filters_params().items()
        for value in (values if isinstance(values, list | tuple) else [values])
        if name not in names
    ]
    return [*kept, (SEARCH_VAR, changelist.query)] if changelist.query else kept


def _number(text: str | None) -> int:
    """The number of a person; 0, which nobody has, where it is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else 0


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise IncorrectLookupParameters(error) from None
