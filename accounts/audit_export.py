"""The audit trail as a file: CSV for spreadsheets, NDJSON for programs. Both in one pass, however long it is."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC
from itertools import islice
from typing import Any

from accounts.models import AuditEvent

BATCH_EVENTS = 1000
COLUMNS = [
    "id",
    "at",
    "account_id",
    "account",
    "actor_id",
    "actor",
    "via",
    "address",
    "action",
    "target_type",
    "target_id",
    "target",
    "data",
    "chain",
    "number",
    "digest",
]
#: What a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def row_of(event: AuditEvent) -> dict[str, Any]:
    """What is exported of an event, by column: all of it, times in UTC."""
    return {
        "id": str(event.pk),
        "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "account_id": str(event.account_id) if event.account_id else None,
        "account": event.account_name,
        "actor_id": event.actor_id,
        "actor": event.actor_name,
        "via": event.via,
        "address": event.address,
        "action": event.action,
        "target_type": event.target_type,
        "target_id": event.target_id,
        "target": event.target_name,
        "data": event.data,
        "chain": event.chain,
        "number": event.number,
        "digest": bytes(event.digest).hex(),
    }


def as_ndjson(events: Iterable[AuditEvent]) -> Iterator[str]:
    """One JSON object a line."""
    for batch in _batches(events):
        yield "".join(_json(row_of(event)) + "\n" for event in batch)


def as_csv(events: Iterable[AuditEvent]) -> Iterator[str]:
    """A line of column names, then one event a row; what a spreadsheet would run as a formula begins with ``'``."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for batch in _batches(events):
        for event in batch:
            row = row_of(event)
            row["data"] = _json(row["data"])
            writer.writerow([_cell(row[column]) for column in COLUMNS])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


#: Format -> its content type and its writer.
FORMATS: dict[str, tuple[str, Callable[[Iterable[AuditEvent]], Iterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", as_csv),
    "ndjson": ("application/x-ndjson", as_ndjson),
}


def _batches(events: Iterable[AuditEvent]) -> Iterator[list[AuditEvent]]:
    remaining = iter(events)
    while batch := list(islice(remaining, BATCH_EVENTS)):
        yield batch


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _cell(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value
