"""What may stand in a column: each type reads text (CSV) or a JSON value, or says what would be right."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from entities.models import Kind

MOST_WHOLE = 2**63 - 1
# Both ends of what can be meant: before and after lie seconds taken for milliseconds, and years mistyped.
FIRST_YEAR, LAST_YEAR = 2000, 2100
#: SQLite keeps decimals as binary floating-point numbers: from the 16th digit on it would make up money.
SQLITE_DIGITS = 15

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_WHOLE = re.compile(r"[0-9]{1,40}", re.ASCII)
_DECIMAL = re.compile(r"([0-9]{1,40})(?:\.([0-9]{1,40}))?", re.ASCII)
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:?[0-9]{2})", re.ASCII
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_SLUG = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)
_COIN = re.compile(r"[A-Z0-9]{2,8}", re.ASCII)
_GRAPHIC = re.compile(r"[!-~]+", re.ASCII)

NAME_LENGTH, ADDRESS_LENGTH, TRANSACTION_LENGTH = 120, 120, 100


class Invalid(ValueError):
    """A value that its column can't take; ``str()`` says what is wrong and what would be right."""


@dataclass(frozen=True)
class Name:
    """An entity by its account and name."""

    account: str
    name: str


Reference = UUID | Name


@dataclass(frozen=True)
class ColumnType:
    """``words`` describe it in the documentation; ``read`` returns the value or raises Invalid."""

    words: str
    read: Callable[[Any], Any]
    example: Any
    #: For references: what kinds of entity it may name.
    refers_to: Kind | None = None


@dataclass(frozen=True)
class Column:
    name: str
    type: ColumnType
    meaning: str
    required: bool = False

    def read(self, value: Any) -> Any:
        """The value, None where nothing is said. Raises Invalid."""
        if value is None or value == "":
            if self.required:
                raise Invalid(f"is empty; give {self.type.words}.")
            return None
        return self.type.read(value)


def show(value: Any) -> str:
    """A value of a row for a sentence: short, on one line, safe for any terminal."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value[:60] if isinstance(value, str) else value)
    return text if len(text) <= 70 else f"{text[:70]}…"


def _check_text(value: Any, length: int) -> str:
    if not isinstance(value, str):
        raise Invalid(f"is {show(value)}; give text.")
    if _SURROGATE.search(value):
        raise Invalid(f"is {show(value)}, which is no text in UTF-8; write the file in UTF-8.")
    if _CONTROL.search(value):
        raise Invalid(f"is {show(value)}; NUL, line breaks and other control characters are not allowed.")
    if len(value) > length:
        raise Invalid(f"has {len(value):,} characters; give at most {length}.")
    if value != value.strip():
        raise Invalid(f"is {show(value)}; leave out the space at its ends.")
    return value


def read_name(value: Any) -> str:
    return _check_text(value, NAME_LENGTH)


def _read_matching(pattern: re.Pattern[str], length: int, right: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        text = _check_text(value, length)
        if not pattern.fullmatch(text):
            raise Invalid(f"is {show(text)}; give {right}.")
        return text

    return read


def read_identifier(value: Any) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise Invalid(f"is {show(value)}; give an ID like {EXAMPLE_ID}.")
    return UUID(value)


def read_reference(value: Any) -> Reference:
    """An ID, or ``account/name``: no ID holds a slash, and neither does an account."""
    if isinstance(value, str):
        account, slash, name = value.partition("/")
        if name and _SLUG.fullmatch(account):
            return Name(account, read_name(name))
        if not slash and _UUID.fullmatch(value):
            return UUID(value)
    raise Invalid(f"is {show(value)}; give an ID, or account/name like northfold/nf-s21-0001.")


def read_whole(value: Any) -> int:
    """A count or a hashrate, from 0 to what 64 bits hold."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Invalid(f"is {show(value)}; give a whole number, 0 or more, in digits alone.")
    if value < 0:
        raise Invalid(f"is {show(value)}, below zero; give a whole number, 0 or more.")
    if value > MOST_WHOLE:
        raise Invalid(f"is {show(value)}; give at most {MOST_WHOLE} (64 bits).")
    return value


def read_amount(value: Any) -> Decimal:
    """Whole coins with at most 8 decimals, 24 digits in all."""
    return _read_decimal(value, places=8, digits=24)


def read_positive_amount(value: Any) -> Decimal:
    amount = read_amount(value)
    if not amount:
        raise Invalid("is zero; a payout pays something.")
    return amount


def read_share(value: Any) -> Decimal:
    share = _read_decimal(value, places=4, digits=5)
    if share > 1:
        raise Invalid(f"is {show(value)}; give a share from 0 to 1, 0.015 for 1.5 %.")
    return share


def _read_decimal(value: Any, *, places: int, digits: int) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    # JSON's numbers are floating-point for most programs: they lose the digits that money needs.
    match = _DECIMAL.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Invalid(f"is {show(value)}; give a decimal as text, 0 or more, such as 0.01250000.")
    whole, fraction = match[1].lstrip("0"), match[2] or ""
    if len(fraction) > places:
        raise Invalid(f"is {show(value)}; give at most {places} decimals.")
    if len(whole) > digits - places:
        raise Invalid(f"is {show(value)}; give at most {digits - places} digits before the point.")
    # Bounded by what was just checked: as far as significant digits go, leading and trailing zeros are none.
    significant = (whole + fraction).lstrip("0").rstrip("0")
    if len(significant) > SQLITE_DIGITS and connection.vendor == "sqlite":
        raise Invalid(f"is {show(value)}; SQLite keeps {SQLITE_DIGITS} digits of an amount. PostgreSQL keeps all.")
    return Decimal(value)


def read_moment(value: Any) -> datetime:
    """A moment, in UTC."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise Invalid(f"is {show(value)}; give a moment with its offset, like 2026-06-01T12:00:00Z.")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise Invalid(f"is {show(value)}: {error}. Give a moment like 2026-06-01T12:00:00Z.") from None
    _check_year(moment.year, value)
    return moment.astimezone(UTC)


def read_hour(value: Any) -> datetime:
    moment = read_moment(value)
    if moment.minute or moment.second or moment.microsecond:
        raise Invalid(f"is {show(value)}; give the start of an hour (UTC), like 2026-06-01T12:00:00Z.")
    return moment


def read_day(value: Any) -> date:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise Invalid(f"is {show(value)}; give a day like 2026-06-01.")
    try:
        day = date.fromisoformat(value)
    except ValueError as error:
        raise Invalid(f"is {show(value)}: {error}. Give a day like 2026-06-01.") from None
    _check_year(day.year, value)
    return day


def _check_year(year: int, value: Any) -> None:
    if not FIRST_YEAR <= year < LAST_YEAR:
        raise Invalid(f"is {show(value)}; give a year from {FIRST_YEAR} to {LAST_YEAR - 1}.")


EXAMPLE_ID = "01978a3c-52f0-7c1e-9d6b-3f2a41c0d5e7"

ACCOUNT = ColumnType(
    "the account’s name in web addresses",
    _read_matching(_SLUG, 60, "an account’s name in web addresses, like northfold"),
    "northfold",
)
NAME = ColumnType(f"text, at most {NAME_LENGTH} characters", read_name, "nf-s21-0001")
ID = ColumnType("an ID (UUID)", read_identifier, EXAMPLE_ID)
COIN = ColumnType(
    "2 to 8 capital letters or digits", _read_matching(_COIN, 8, "2 to 8 capital letters or digits, like BTC"), "BTC"
)
ADDRESS = ColumnType(
    f"text, at most {ADDRESS_LENGTH} characters, no spaces",
    _read_matching(_GRAPHIC, ADDRESS_LENGTH, "an address, without spaces"),
    "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
)
TRANSACTION = ColumnType(
    f"text, at most {TRANSACTION_LENGTH} characters, no spaces",
    _read_matching(_GRAPHIC, TRANSACTION_LENGTH, "a transaction’s id, without spaces"),
    "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b",
)
WHOLE = ColumnType("a whole number, 0 to 2⁶³ − 1", read_whole, 205_000_000_000_000)
AMOUNT = ColumnType("a decimal, 0 or more, at most 16 digits before the point and 8 after", read_amount, "0.01250000")
PAID = ColumnType(
    "a decimal above 0, at most 16 digits before the point and 8 after", read_positive_amount, "0.05000000"
)
SHARE = ColumnType("a decimal from 0 to 1, at most 4 decimals", read_share, "0.0150")
MOMENT = ColumnType("a moment with its offset (ISO 8601)", read_moment, "2026-06-01T12:34:56Z")
HOUR = ColumnType("the start of an hour (ISO 8601, with its offset)", read_hour, "2026-06-01T12:00:00Z")
DAY = ColumnType("a day (ISO 8601)", read_day, "2026-06-01")
MINER = ColumnType("a miner: its ID, or `account/name`", read_reference, "northfold/nf-s21-0001", Kind.MINER)
HUB = ColumnType("a hub: its ID, or `account/name`", read_reference, "northfold/kiruna-1", Kind.HUB)
POOL = ColumnType("a pool: its ID, or `account/name`", read_reference, "northfold/nf-btc-fpps", Kind.POOL)
