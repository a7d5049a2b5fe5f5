"""What `request_log` has noted, written: request rows, usage by the hour, and when keys were last used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection, models, transaction

from apikeys.models import ApiKeySecret, RequestLog, UsageHour, UsageTotal

USAGE_DAYS = 400
PORTION = 1_000
#: How many rows are removed by one call at most
AT_ONCE = 20_000


class Entry(NamedTuple):
    """One request with a right secret. ``code`` is "" where it was allowed; ``duration_ms`` in milliseconds."""

    at: datetime
    account_id: UUID
    key_pk: UUID
    secret_pk: int
    address: str | None
    method: str
    route: str
    status: int
    code: str
    duration_ms: int
    request_id: str


class HourCount(NamedTuple):
    """How many requests of a key in the hour that begins then, UTC, and how many of them were refused."""

    key_pk: UUID
    hour: datetime
    requests: int
    refused: int


# tests/apikeys/test_request_log.py reads back through the models what these write.
_ROW = "at, account_id, key_id, secret_id, address, method, route, status, code, duration_ms, request_id"
_ADD_ROWS = f"INSERT INTO apikeys_requestlog ({_ROW}) VALUES {{rows}}"  # noqa: S608 constants
_COPY_ROWS = f"COPY apikeys_requestlog ({_ROW}) FROM STDIN"
# The ORM's upsert replaces; this one adds. PostgreSQL and SQLite say it alike.
_ADD_USAGE = """
INSERT INTO apikeys_usagehour (key_id, hour, requests, refused) VALUES {rows}
    ON CONFLICT (key_id, hour) DO UPDATE
   SET requests = apikeys_usagehour.requests + excluded.requests,
       refused = apikeys_usagehour.refused + excluded.refused
"""
_ADD_TOTALS = """
INSERT INTO apikeys_usagetotal (hour, requests, refused) VALUES {rows}
    ON CONFLICT (hour) DO UPDATE
   SET requests = apikeys_usagetotal.requests + excluded.requests,
       refused = apikeys_usagetotal.refused + excluded.refused
"""
# PostgreSQL takes columns of all rows at once; one statement for each cost three times as much. SQLite has no such way.
_KEYS_USED = """
UPDATE apikeys_apikey k SET last_used_at = used.at
  FROM unnest(%s::uuid[], %s::timestamptz[]) used (id, at)
 WHERE k.id = used.id AND (k.last_used_at IS NULL OR k.last_used_at < used.at)
"""
_SECRETS_USED = """
UPDATE apikeys_apikeysecret s SET last_used_at = used.at, last_used_address = used.address
  FROM unnest(%s::bigint[], %s::timestamptz[], %s::inet[]) used (id, at, address)
 WHERE s.id = used.id AND (s.last_used_at IS NULL OR s.last_used_at < used.at)
"""
_KEY_USED = """
UPDATE apikeys_apikey SET last_used_at = %s WHERE id = %s AND (last_used_at IS NULL OR last_used_at < %s)
"""
_SECRET_USED = """
UPDATE apikeys_apikeysecret SET last_used_at = %s, last_used_address = %s
 WHERE id = %s AND (last_used_at IS NULL OR last_used_at < %s)
"""  # noqa: S105 a statement


def write(entries: Sequence[Entry]) -> list[Entry]:
    """Write ``entries`` in one transaction and return those that have to wait.

    They wait while somebody else changes their key or writes about it: this never waits for a key or secret while it
    holds others, so that no change of a key meets a deadlock because of its log. It waits for the totals of the hour
    alone, last, which nobody holds who waits for something else. Entries of keys that are gone are forgotten.
    """
    with transaction.atomic():
        here, free = _hold({entry.secret_pk for entry in entries})
        now = [entry for entry in entries if entry.secret_pk in free]
        if now:
            _add_rows(now)
            _set_last_used(now)
            _add_usage(now)
    return [entry for entry in entries if entry.secret_pk in here - free]


def _hold(secrets: set[int]) -> tuple[set[int], set[int]]:
    """Return which of ``secrets`` are there, and which of them are ours, with their keys, until the transaction ends.

    A secret goes with its key alone, so while it is there, all that a row refers to is.
    """
    here = set(ApiKeySecret.objects.filter(pk__in=secrets).values_list("pk", flat=True))
    if not here or connection.vendor != "postgresql":
        return here, here  # SQLite has one writer at a time, and that is us
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.id FROM apikeys_apikeysecret s JOIN apikeys_apikey k ON k.id = s.key_id WHERE s.id = ANY(%s) "
            "FOR NO KEY UPDATE SKIP LOCKED",
            [sorted(here)],
        )
        return here, {pk for (pk,) in cursor.fetchall()}


def _add_rows(entries: Sequence[Entry]) -> None:
    # Every request costs its process one of these. Made of model instances they took five times as long.
    stored = _Stored()
    rows = [
        (
            stored.moment(entry.at),
            stored.uuid(entry.account_id),
            stored.uuid(entry.key_pk),
            entry.secret_pk,
            entry.address,
            entry.method[:10],
            entry.route[:120],
            entry.status,
            entry.code,
            entry.duration_ms,
            entry.request_id,
        )
        for entry in entries
    ]
    if connection.vendor == "postgresql":
        with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(_COPY_ROWS) as copy:
            for row in rows:
                copy.write_row(row)
        return
    for start in range(0, len(rows), PORTION):
        _execute(_ADD_ROWS, rows[start : start + PORTION])


def _add_usage(entries: Sequence[Entry]) -> None:
    counted: dict[tuple[UUID, datetime], list[int]] = {}
    for entry in entries:
        count = counted.setdefault((entry.key_pk, entry.at.replace(minute=0, second=0, microsecond=0)), [0, 0])
        count[0] += 1
        count[1] += entry.status >= 400
    add_usage([HourCount(*where, *count) for where, count in counted.items()])


def add_usage(counts: Sequence[HourCount]) -> None:
    """Add ``counts``, each of another key or hour, to what is there already, correctly beside other processes."""
    # In one order everywhere: two processes never wait for each other crosswise.
    counts = sorted(counts)
    stored = _Stored()
    for start in range(0, len(counts), PORTION):
        part = counts[start : start + PORTION]
        _execute(
            _ADD_USAGE,
            [(stored.uuid(row.key_pk), stored.moment(row.hour), row.requests, row.refused) for row in part],
        )
    totals: dict[datetime, list[int]] = {}
    for row in counts:
        total = totals.setdefault(row.hour, [0, 0])
        total[0] += row.requests
        total[1] += row.refused
    if totals:
        _execute(_ADD_TOTALS, [(stored.moment(hour), *total) for hour, total in sorted(totals.items())])


def _set_last_used(entries: Sequence[Entry]) -> None:
    """The latest use of each key and each secret; never back behind what another process wrote."""
    stored = _Stored()
    keys: dict[UUID, datetime] = {}
    latest: dict[int, Entry] = {}
    for entry in entries:
        keys[entry.key_pk] = max(entry.at, keys.get(entry.key_pk, entry.at))
        if entry.secret_pk not in latest or entry.at >= latest[entry.secret_pk].at:
            latest[entry.secret_pk] = entry
    of_keys = [(stored.uuid(pk), stored.moment(at)) for pk, at in keys.items()]
    of_secrets = [(pk, stored.moment(row.at), stored.address(row.address)) for pk, row in latest.items()]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_KEYS_USED, [list(column) for column in zip(*of_keys, strict=True)])
            cursor.execute(_SECRETS_USED, [list(column) for column in zip(*of_secrets, strict=True)])
        else:
            cursor.executemany(_KEY_USED, [(at, pk, at) for pk, at in of_keys])
            cursor.executemany(_SECRET_USED, [(at, address, pk, at) for pk, at, address in of_secrets])


def _same(value: UUID) -> UUID:
    return value


class _Stored:
    """Values as this database takes them, as the fields of the models would say."""

    def __init__(self) -> None:
        self.moment: Callable[[datetime], Any] = connection.ops.adapt_datetimefield_value
        self.address: Callable[[str | None], Any] = connection.ops.adapt_ipaddressfield_value
        self.uuid: Callable[[UUID], Any] = _same if connection.features.has_native_uuid_field else attrgetter("hex")


def _execute(statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run ``statement`` with ``rows`` in place of its VALUES."""
    one = f"({', '.join(['%s'] * len(rows[0]))})"
    with connection.cursor() as cursor:
        cursor.execute(statement.format(rows=", ".join([one] * len(rows))), list(chain.from_iterable(rows)))


def remove_old_requests(now: datetime) -> int:
    """Remove request rows older than ``PITHEAD_REQUEST_LOG_DAYS``; return how many."""
    return _remove(RequestLog.objects.filter(at__lt=now - timedelta(days=settings.PITHEAD_REQUEST_LOG_DAYS)))


def remove_old_usage(now: datetime) -> int:
    """Remove hours older than ``USAGE_DAYS``; return how many. Reads the whole table: no index serves it."""
    UsageTotal.objects.filter(hour__lt=now - timedelta(days=USAGE_DAYS)).delete()
    return _remove(UsageHour.objects.filter(hour__lt=now - timedelta(days=USAGE_DAYS)))


def _remove(rows: models.QuerySet[Any]) -> int:
    """Remove up to ``AT_ONCE`` of ``rows``, in portions, so that nobody waits long for any."""
    removed = 0
    while removed < AT_ONCE:
        portion = list(rows.values_list("pk", flat=True)[:PORTION])
        count, _ = rows.model._default_manager.filter(pk__in=portion).delete()
        removed += count
        if count < PORTION:
            break
    return removed
