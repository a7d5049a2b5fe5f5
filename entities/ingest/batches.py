"""A batch of rows on its way into the database: what they refer to, what is stored already, what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection
from django.db.models import Model

from accounts.models import Account
from entities.ingest.columns import Name, Reference, show
from entities.ingest.kinds import RowKind
from entities.models import Entity, Kind

M = TypeVar("M", bound=Model)
Key = tuple[Any, ...]


class State(IntEnum):
    """What became of a row. Of several parts of one row, the greatest counts."""

    UNCHANGED = 0
    UPDATED = 1
    CREATED = 2
    REFUSED = 3


@dataclass(frozen=True, slots=True)
class RowError:
    """``row`` is the line, or the place in a list, from 1; ``column`` is empty where it is about the whole row."""

    row: int
    column: str
    message: str

    def __str__(self) -> str:
        return f"{self.column} {self.message}" if self.column else f"The row {self.message}"


@dataclass(slots=True, eq=False)
class Row:
    """A row whose columns could all be read. References become ids in `Batch.resolve`."""

    number: int
    values: dict[str, Any]
    state: State = State.UNCHANGED

    def mark(self, state: State) -> None:
        self.state = max(self.state, state)


@dataclass
class Batch:
    kind: RowKind
    environment: str
    rows: list[Row]
    errors: list[RowError] = field(default_factory=list)

    @property
    def good(self) -> list[Row]:
        return [row for row in self.rows if row.state is not State.REFUSED]

    def refuse(self, row: Row, column: str, message: str) -> None:
        row.state = State.REFUSED
        self.errors.append(RowError(row.number, column, message))

    def resolve(self) -> None:
        """Turn the references of every row into ids, refusing rows that name what is not there."""
        asked: dict[Kind, set[Reference]] = {}
        for column, kind in self.kind.references:
            asked.setdefault(kind, set()).update({row.values[column] for row in self.rows} - {None})
        found = {kind: self._find(kind, references) for kind, references in asked.items()}
        for row in self.rows:
            for column, kind in self.kind.references:
                reference = row.values[column]
                if reference is None:
                    continue
                answer = found[kind][reference]
                if isinstance(answer, str):
                    self.refuse(row, column, answer)
                else:
                    row.values[column] = answer

    def _find(self, kind: Kind, references: Iterable[Reference]) -> dict[Reference, UUID | str]:
        """The id of each reference, or a sentence on why there is none."""
        names = [reference for reference in references if isinstance(reference, Name)]
        ids = [reference for reference in references if isinstance(reference, UUID)]
        found: dict[Reference, UUID | str] = {}
        if names:
            rows = Entity.objects.filter(
                kind=kind,
                environment=self.environment,
                account__slug__in={name.account for name in names},
                name__in={name.name for name in names},
            ).values_list("account__slug", "name", "pk")
            asked = set(names)
            for slug, own_name, pk in rows:
                if Name(slug, own_name) in asked:
                    found[Name(slug, own_name)] = pk
            missing = asked - found.keys()
            if missing:
                slugs = {name.account for name in missing}
                accounts = set(Account.objects.filter(slug__in=slugs).values_list("slug", flat=True))
                for name in missing:
                    found[name] = (
                        f"names no {kind} of {name.account} in {self.environment}: {show(name.name)}. Import it first."
                        if name.account in accounts
                        else f"names the account {show(name.account)}, which is not there."
                    )
        if ids:
            stored = {
                pk: (its_kind, environment)
                for pk, its_kind, environment in Entity.objects.filter(pk__in=ids).values_list(
                    "pk", "kind", "environment"
                )
            }
            for pk in ids:
                its_kind, environment = stored.get(pk, (None, None))
                if its_kind is None:
                    found[pk] = f"is {pk}, and no {kind} has that ID. Import it first."
                elif its_kind != kind:
                    found[pk] = f"is {pk}, a {its_kind}; give a {kind}."
                elif environment != self.environment:
                    found[pk] = f"is {pk}, a {kind} of {environment}; this import is into {self.environment}."
                else:
                    found[pk] = pk
        return found

    def lock_owners(self, *columns: str) -> None:
        """Hold the entities in ``columns`` until the batch is written.

        None of them goes meanwhile, and of two imports of the same rows one counts them as created, the other not.
        """
        ids = {row.values[column] for row in self.good for column in columns} - {None}
        held = set(
            Entity.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True)
        )
        for row in self.good:
            for column in columns:
                if row.values[column] is not None and row.values[column] not in held:
                    self.refuse(row, column, "was deleted while this import ran.")

    def by_key(self, key: Mapping[Row, Key]) -> dict[Key, Row]:
        """The rows by ``key``; whoever says a key again is refused."""
        first: dict[Key, Row] = {}
        for row, its_key in key.items():
            earlier = first.setdefault(its_key, row)
            if earlier is not row:
                self.refuse(row, "", f"is about the same as row {earlier.number}, by {self.kind.same}. Keep one.")
        return first


def find(model: type[M], key: tuple[str, ...], wanted: Iterable[Key], *, where: str = "") -> dict[Key, M]:
    """What is stored under each of the ``wanted`` keys, values of the fields ``key`` and never None. One query.

    ``where`` is SQL on the table ``s``. Written by hand, for the ORM compares tuples of columns on neither database
    without a condition a tuple, and one `IN` a column would fetch all combinations.
    """
    fields: list[Any] = [model._meta.get_field(name) for name in key]
    parameters = [
        field.get_db_prep_value(value, connection)
        for values in wanted
        for field, value in zip(fields, values, strict=True)
    ]
    if not parameters:
        return {}
    quote = connection.ops.quote_name
    columns = [field.column for field in fields]
    row = f"({', '.join(['%s'] * len(key))})"
    rows = ", ".join([row] * (len(parameters) // len(key)))
    names = ", ".join(f"k{number}" for number in range(len(key)))
    same = " AND ".join(f"s.{quote(column)} = v.k{number}" for number, column in enumerate(columns))
    table = quote(model._meta.db_table)
    # CROSS JOIN: SQLite then takes the values first, and finds each by the index.
    sql = f"WITH v ({names}) AS (VALUES {rows}) SELECT s.* FROM v CROSS JOIN {table} s WHERE {same}"  # noqa: S608
    attributes = [field.attname for field in fields]
    stored = model._default_manager.raw(f"{sql} AND {where}" if where else sql, parameters)
    return {tuple(getattr(each, name) for name in attributes): each for each in stored}


def merge(
    model: type[M], key: tuple[str, ...], wanted: Mapping[Key, dict[str, Any]], stored: Mapping[Key, M]
) -> dict[Key, tuple[M, State]]:
    """Write what ``wanted`` says under each key, where it is not ``stored`` so already; None says nothing."""
    new: list[M] = []
    changed: list[M] = []
    fields: set[str] = set()
    result: dict[Key, tuple[M, State]] = {}
    for its_key, values in wanted.items():
        said = {name: value for name, value in values.items() if value is not None}
        there = stored.get(its_key)
        if there is None:
            there = model(**dict(zip(key, its_key, strict=True)), **said)
            new.append(there)
            result[its_key] = there, State.CREATED
            continue
        differing = [name for name, value in said.items() if getattr(there, name) != value]
        for name in differing:
            setattr(there, name, said[name])
        if differing:
            fields.update(differing)
            changed.append(there)
        result[its_key] = there, State.UPDATED if differing else State.UNCHANGED
    model._default_manager.bulk_create(new)
    save_changed(model, changed, fields)
    return result


def store(
    model: type[M],
    key: tuple[str, ...],
    rows: Mapping[Key, Row],
    said: Callable[[Row], dict[str, Any]],
    *,
    where: str = "",
    is_part: bool = False,
) -> None:
    """Write what each row has ``said`` under its key, and mark the row; ``where`` is as `find` takes it.

    What ``is_part`` of a row's thing was updated at most, not created: a miner that got a wallet was there before.
    """
    wanted = {its_key: said(row) for its_key, row in rows.items()}
    for its_key, (_, state) in merge(model, key, wanted, find(model, key, wanted, where=where)).items():
        rows[its_key].mark(min(state, State.UPDATED) if is_part else state)


def save_changed(model: type[M], changed: list[M], fields: Iterable[str]) -> None:
    """Write ``fields`` of rows that are stored: as an upsert by their ids, which is many times faster than updates."""
    if changed:
        names = sorted({_field_name(model, name) for name in fields})
        model._default_manager.bulk_create(changed, update_conflicts=True, unique_fields=["pk"], update_fields=names)


def _field_name(model: type[Model], attribute: str) -> str:
    return model._meta.get_field(attribute).name
