"""How a key is used: read from what `request_log` has written, some seconds ago at most."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db.models import Aggregate, Count, Max, Q, QuerySet, Subquery, Sum
from django.db.models.functions import TruncDay
from django.utils import timezone

from accounts.models import Account
from apikeys.models import ApiKey, RequestLog, UsageHour

DAYS_SHOWN = 30


@dataclass(frozen=True)
class Day:
    """One day, UTC, of a key: how many requests, and how many of them were refused (4xx and 5xx)."""

    day: date
    requests: int
    refused: int


@dataclass(frozen=True)
class RouteUse:
    """What a key called lately: one method and route, how often, and when last."""

    method: str
    route: str
    requests: int
    refused: int
    last_at: datetime


def daily(keys: Iterable[ApiKey], days: int = DAYS_SHOWN) -> dict[UUID, list[Day]]:
    """Return ``days`` days up to today for each of ``keys``, oldest first, with one query; days of no use are zero."""
    today = timezone.now().astimezone(UTC).date()
    first = today - timedelta(days=days - 1)
    wanted = [key.pk for key in keys]
    rows = (
        UsageHour.objects.filter(key__in=wanted, hour__gte=datetime(first.year, first.month, first.day, tzinfo=UTC))
        .annotate(on=TruncDay("hour", tzinfo=UTC))
        .values_list("key_id", "on")
        .annotate(total=Sum("requests"), bad=Sum("refused"))
    )
    counted: dict[UUID, dict[date, tuple[int, int]]] = defaultdict(dict)
    for key_pk, on, total, bad in rows:
        counted[key_pk][on.date()] = (total, bad)
    span = [first + timedelta(days=number) for number in range(days)]
    return {pk: [Day(day, *counted[pk].get(day, (0, 0))) for day in span] for pk in wanted}


def of_account(account: Account, hours: int = 24) -> dict[str, Aggregate]:
    """How many ``requests`` the account's keys made in the last ``hours``, and how many were ``refused``.

    To be asked for beside other figures of keys, in the one query that counts those. Counted by the hour: the hour
    that is not over yet is the last of them. Keys that support handed out are left out, as owners do not see them.
    """
    first = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours - 1)
    found = UsageHour.objects.filter(key__account=account, key__support=False, hour__gte=first)
    sums = {
        name: found.values("key__account").annotate(sum=Sum(name)).values("sum") for name in ("requests", "refused")
    }
    return {name: Max(Subquery(each), default=0) for name, each in sums.items()}


def recent(key: ApiKey) -> QuerySet[RequestLog]:
    """The key's requests, newest first, with their secret; the caller takes a slice."""
    return RequestLog.objects.filter(key=key).select_related("secret").order_by("-at", "-pk")


def routes_since(key: ApiKey, since: datetime) -> list[RouteUse]:
    """What ``key`` called since then, most called first: what an edit of it may break."""
    rows = (
        RequestLog.objects.filter(key=key, at__gte=since)
        .values("method", "route")
        .annotate(requests=Count("pk"), refused=Count("pk", filter=Q(status__gte=400)), last_at=Max("at"))
        .order_by("-requests", "route", "method")
    )
    return [RouteUse(**row) for row in rows]


def addresses_since(key: ApiKey, since: datetime) -> list[str]:
    """From where ``key`` was used since then, most used first; unknown addresses are left out."""
    rows = (
        RequestLog.objects.filter(key=key, at__gte=since, address__isnull=False)
        .values_list("address")
        .annotate(requests=Count("pk"))
        .order_by("-requests", "address")
    )
    return [address for address, _ in rows]
