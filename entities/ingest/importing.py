"""The import itself: rows in, counts and errors out. Bounded memory, one transaction a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.db import DataError, IntegrityError, reset_queries, transaction

from accounts.audit import Actor, record
from entities.ingest import entity_rows, measured_rows, money_rows
from entities.ingest.batches import Batch, Row, RowError
from entities.ingest.kinds import RowKind
from entities.ingest.reading import RawRow

BATCH_ROWS = 5_000

WRITERS: dict[str, Callable[[Batch], None]] = {
    "pools": entity_rows.write,
    "hubs": entity_rows.write,
    "miners": entity_rows.write,
    "workers": measured_rows.write_workers,
    "hashrate": measured_rows.write_hashrate,
    "accruals": money_rows.write_accruals,
    "payouts": money_rows.write_payouts,
}


@dataclass
class Counts:
    """What became of the rows: ``received`` is the sum of the others."""

    received: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0

    def add(self, other: Counts) -> None:
        for name, number in vars(other).items():
            setattr(self, name, getattr(self, name) + number)


@dataclass
class _Written:
    counts: Counts = field(default_factory=Counts)
    errors: list[RowError] = field(default_factory=list)


def import_rows(
    kind: RowKind,
    rows: Iterable[RawRow],
    *,
    environment: str,
    actor: Actor,
    source: str,
    counts: Counts,
    on_error: Callable[[RowError], None],
    after_batch: Callable[[], None] = lambda: None,
    during_batch: Callable[[], AbstractContextManager[None]] = nullcontext,
    recorded: bool = True,
) -> None:
    """Write ``rows`` into ``environment``, adding to ``counts`` as batches are committed, and record the run.

    A row that can't be taken goes to ``on_error``, and all others are written. Running it again changes nothing.
    Raises reading.Unreadable where ``rows`` can't be read at all. However it ends, what was committed is recorded
    in the audit trail under ``source``, a file's name, say; but where not ``recorded``, as each batch was taken back.
    """
    finished = False
    try:
        for batch in _batches(rows):
            with during_batch():
                written = _import_batch(kind, batch, environment)
                counts.add(written.counts)
                for error in sorted(written.errors, key=lambda error: error.row):
                    on_error(error)
                reset_queries()  # where DEBUG is on, Django would keep every statement
                after_batch()
        finished = True
    finally:
        if recorded and (finished or counts.received):
            with transaction.atomic():
                record(
                    "pool_data.imported",
                    actor=actor,
                    kind=kind.name,
                    environment=environment,
                    source=source,
                    finished=finished,
                    **vars(counts),
                )


@contextmanager
def dry_run() -> Iterator[None]:
    """Take back whatever is imported within, its audit rows too: the counts and errors are what they would be.

    Meanwhile other writers of the same rows wait, on SQLite all writers. Around each batch instead of the whole, they
    wait no longer than for an import; what repeats a row of an earlier batch then counts as new again.
    """
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _batches(rows: Iterable[RawRow]) -> Iterator[list[RawRow]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, BATCH_ROWS)):
        yield batch


def _import_batch(kind: RowKind, batch: list[RawRow], environment: str) -> _Written:
    result = _Written(Counts(received=len(batch)))
    good: list[tuple[int, dict[str, Any]]] = []
    for raw in batch:
        if raw.wrong:
            result.errors.append(RowError(raw.number, "", raw.wrong))
            result.counts.refused += 1
            continue
        values, wrong = kind.read(raw.values)
        if wrong:
            result.errors += [RowError(raw.number, column, message) for column, message in wrong]
            result.counts.refused += 1
        else:
            good.append((raw.number, values))
    if good:
        _write(kind, good, environment, result)
    return result


def _write(kind: RowKind, rows: list[tuple[int, dict[str, Any]]], environment: str, result: _Written) -> None:
    """Write ``rows`` in one transaction, or, should the database refuse it, each half in its own.

    It does when somebody else wrote the same rows in between: what is stored is then looked up anew.
    """
    batch = Batch(kind, environment, [Row(number, dict(values)) for number, values in rows])
    try:
        with transaction.atomic():
            WRITERS[kind.name](batch)
    except (IntegrityError, DataError) as error:
        if len(rows) == 1:
            reason = str(error).partition("\n")[0]
            result.errors.append(RowError(rows[0][0], "", f"was refused by the database: {reason}."))
            result.counts.refused += 1
            return
        middle = len(rows) // 2
        for half in (rows[:middle], rows[middle:]):
            _write(kind, half, environment, result)
        return
    result.errors += batch.errors
    for row in batch.rows:
        name = row.state.name.lower()
        setattr(result.counts, name, getattr(result.counts, name) + 1)
