"""What each column takes and refuses, and that no row, however odd, is more than a row error."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from uuid import UUID

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.audit import Actor
from entities.ingest import columns
from entities.ingest.columns import Invalid, Name
from entities.ingest.importing import Counts, import_rows
from entities.ingest.kinds import ROW_KINDS
from entities.ingest.reading import MAX_LINE_BYTES, RawRow, Unreadable, raw_row, read_csv, read_ndjson

MINERS, HASHRATE = ROW_KINDS["miners"], ROW_KINDS["hashrate"]


@pytest.mark.parametrize(
    ("column", "value", "read"),
    [
        (columns.WHOLE, "205000000000000", 205_000_000_000_000),
        (columns.WHOLE, 0, 0),
        (columns.WHOLE, 2**63 - 1, 2**63 - 1),
        (columns.AMOUNT, "0.01250000", Decimal("0.0125")),
        (columns.AMOUNT, 12, Decimal(12)),
        (columns.SHARE, "1", Decimal(1)),
        (columns.MOMENT, "2026-06-01T14:30:00+02:00", datetime(2026, 6, 1, 12, 30, tzinfo=UTC)),
        (columns.MOMENT, "2026-06-01 12:30Z", datetime(2026, 6, 1, 12, 30, tzinfo=UTC)),
        (columns.HOUR, "2026-06-01T12:00:00Z", datetime(2026, 6, 1, 12, tzinfo=UTC)),
        (columns.DAY, "2026-02-28", date(2026, 2, 28)),
        (columns.MINER, "northfold/a/b", Name("northfold", "a/b")),
        (columns.MINER, "01978A3C-52F0-7C1E-9D6B-3F2A41C0D5E7", UUID(columns.EXAMPLE_ID)),
        (columns.NAME, "Ångermanland 7 ⚡", "Ångermanland 7 ⚡"),
        (columns.COIN, "BTC", "BTC"),
    ],
)
def test_a_column_reads_what_it_should(column, value, read):
    assert column.read(value) == read


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        (columns.WHOLE, -5, "below zero"),
        (columns.WHOLE, "-5", "whole number"),
        (columns.WHOLE, 1.5, "whole number"),
        (columns.WHOLE, "NaN", "whole number"),
        (columns.WHOLE, "1e15", "whole number"),
        (columns.WHOLE, True, "whole number"),
        (columns.WHOLE, 2**63, "64 bits"),
        (columns.WHOLE, "9" * 40, "64 bits"),
        (columns.WHOLE, "9" * 5000, "whole number"),
        (columns.WHOLE, "٣", "whole number"),
        (columns.AMOUNT, 0.1, "decimal as text"),
        (columns.AMOUNT, "NaN", "decimal"),
        (columns.AMOUNT, "Infinity", "decimal"),
        (columns.AMOUNT, "1e5", "decimal"),
        (columns.AMOUNT, "-0.1", "decimal"),
        (columns.AMOUNT, "0.123456789", "at most 8 decimals"),
        (columns.AMOUNT, "1" * 17, "at most 16 digits"),
        (columns.PAID, "0.00000000", "zero"),
        (columns.SHARE, "1.5", "from 0 to 1"),
        (columns.SHARE, "0.00001", "at most 4 decimals"),
        (columns.MOMENT, "2026-06-01T12:30:00", "offset"),
        (columns.MOMENT, 1780000000, "offset"),
        (columns.MOMENT, "2026-02-30T12:30:00Z", "day is out of range"),
        (columns.MOMENT, "58376-01-01T00:00:00Z", "moment"),
        (columns.MOMENT, "1970-01-01T00:00:00Z", "2000 to 2099"),
        (columns.MOMENT, "0001-01-01T00:00:00+14:00", "2000 to 2099"),
        (columns.HOUR, "2026-06-01T12:10:00Z", "start of an hour"),
        (columns.DAY, "20260601", "day like"),
        (columns.DAY, "2026-06-31", "day is out of range"),
        (columns.MINER, "nf-s21-0001", "account/name"),
        (columns.MINER, "/x", "account/name"),
        (columns.MINER, "north fold/x", "account/name"),
        (columns.MINER, "northfold/", "account/name"),
        (columns.ID, "{01978a3c-52f0-7c1e-9d6b-3f2a41c0d5e7}", "an ID like"),
        (columns.NAME, "a\0b", "NUL"),
        (columns.NAME, "a\nb", "line breaks"),
        (columns.NAME, "a\ud800", "UTF-8"),
        (columns.NAME, "a" * 121, "at most 120"),
        (columns.NAME, " a", "space"),
        (columns.NAME, ["a"], "a list"),
        (columns.COIN, "btc", "capital"),
        (columns.ADDRESS, "tb1 q", "without spaces"),
    ],
)
def test_a_column_says_what_would_be_right(db, column, value, says):
    with pytest.raises(Invalid, match=says) as refused:
        column.read(value)
    str(refused.value).encode()
    assert len(str(refused.value)) < 250


def test_sqlite_is_given_no_amount_that_it_would_round(db):
    amount = "1234567890.12345678"
    if connection.vendor == "sqlite":
        with pytest.raises(Invalid, match="SQLite keeps 15 digits"):
            columns.AMOUNT.read(amount)
    else:
        assert columns.AMOUNT.read(amount) == Decimal(amount)


def csv(text: str | bytes, kind=HASHRATE) -> list[RawRow]:
    return list(read_csv(BytesIO(text if isinstance(text, bytes) else text.encode()), kind))


def ndjson(text: str | bytes) -> list[RawRow]:
    return list(read_ndjson(BytesIO(text if isinstance(text, bytes) else text.encode()), HASHRATE))


def test_csv_may_begin_with_a_bom_and_end_lines_as_windows_does():
    [row] = csv(b"\xef\xbb\xbfminer,at,hashrate\r\na/b,2026-06-01T00:00:00Z,5\r\n\r\n")
    assert (row.number, row.values["miner"], row.values["hashrate"]) == (2, "a/b", "5")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"miner;at;hashrate\n", "commas"),
        (b"miner,at,hashrate,rate\n", "Unknown column 'rate'"),
        (b"miner,at\n", "hashrate is missing"),
        (b"miner,at,hashrate,at\n", "twice"),
        ("miner,at,hashrate\n".encode("utf-16"), "UTF-16"),
        (b"miner,at,hashr\xe5te\n", "Unknown column"),
        (b'miner,"at,hashrate\n', "can't be read"),
        (b"x" * (MAX_LINE_BYTES + 1), "longer than"),
    ],
)
def test_a_csv_file_without_a_usable_header_is_unreadable(content, says):
    with pytest.raises(Unreadable, match=says) as refused:
        csv(content)
    assert refused.value.line == 1


def test_a_bad_csv_line_spoils_no_other():
    bad = ['"open,2026-06-01T00:00:00Z,5', "a,b", "a,b,c,d", "x" * (3 * MAX_LINE_BYTES)]
    rows = csv("miner,at,hashrate\n" + "\n".join([*bad, "a/b,2026-06-01T00:00:00Z,5"]))
    assert [row.number for row in rows if row.wrong] == [2, 3, 4, 5]
    assert rows[-1] == RawRow(6, {"miner": "a/b", "at": "2026-06-01T00:00:00Z", "hashrate": "5"})


def test_a_bad_ndjson_line_spoils_no_other():
    bad = [
        b"{", b"[1]", b"5", b'{"a": NaN}', b'{"miner": 1, "miner": 2}', b"\xff", b"[" * 60_000, b"x" * 70_000
    ]  # fmt: skip
    rows = ndjson(b"\n".join([*bad, b'{"miner": "a/b"}', b""]))
    assert [bool(row.wrong) for row in rows] == [True] * len(bad) + [False]
    assert rows[-1] == RawRow(len(bad) + 1, {"miner": "a/b"})


def test_an_unknown_column_is_an_error_of_its_row():
    _, wrong = HASHRATE.read({"miner": "a/b", "at": "2026-06-01T00:00:00Z", "hashrate": 1, "hash\ud800": 1})
    [(column, message)] = wrong
    assert (column, "known here: miner, at, hashrate, rejected" in message) == ("hash\\ud800", True)


def test_a_row_that_lacks_what_is_required_says_each():
    _, wrong = HASHRATE.read({"miner": ""})
    assert [column for column, _ in wrong] == ["miner", "at", "hashrate"]


def test_exactly_one_of_miner_and_hub_is_said():
    row = {"day": "2026-06-01", "coin": "BTC", "amount": "1"}
    for owners in ({}, {"miner": "a/b", "hub": "a/c"}):
        _, wrong = ROW_KINDS["accruals"].read({**row, **owners})
        assert [column for column, _ in wrong] == ["miner"]


# Junk

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=5,
)
#: Near enough to right that all steps are reached, up to the database.
NEAR = {
    "account": st.sampled_from(["northfold", "nobody", "northfold\0"]),
    "name": st.sampled_from(["a", "b", "b\ud800", "x" * 121]),
    "id": st.sampled_from([columns.EXAMPLE_ID, columns.EXAMPLE_ID.upper(), "7"]),
    "miner": st.sampled_from(["northfold/a", "northfold/miner", columns.EXAMPLE_ID, "nobody/a"]),
    "hub": st.sampled_from(["northfold/hub", "northfold/miner", ""]),
    "pool": st.sampled_from(["northfold/pool", columns.EXAMPLE_ID]),
    "client": st.sampled_from(["northfold/miner", None]),
    "commission": st.sampled_from(["0.5", "1.0001", 1, "NaN"]),
    "at": st.sampled_from(["2026-06-01T12:00:00Z", "2026-06-01T12:00:00+25:00"]),
    "day": st.sampled_from(["2026-06-01", "2026-13-01"]),
    "amount": st.sampled_from(["1.5", "9999999999999999.99999999", "1e400"]),
    "hashrate": st.sampled_from([5, 2**63 - 1, 2**63, -1]),
    "coin": st.sampled_from(["BTC", "₿"]),
}


@pytest.mark.parametrize("kind", ROW_KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_row_of_junk_is_a_row_error_and_never_an_exception(account, kind, data):
    from tests.factories import HubFactory, MinerFactory, PoolFactory

    for factory, name in ((MinerFactory, "miner"), (HubFactory, "hub"), (PoolFactory, "pool")):
        if not factory._meta.model.objects.filter(account=account, name=name).exists():
            factory(account=account, name=name)
    fields = {
        column.name: NEAR.get(column.name, st.just(column.type.example)) | JSON for column in ROW_KINDS[kind].columns
    }
    row = st.fixed_dictionaries({}, optional=fields) | JSON
    rows = data.draw(st.lists(row, max_size=6))
    counts, errors = Counts(), []
    import_rows(
        ROW_KINDS[kind],
        [raw_row(number, values) for number, values in enumerate(rows, start=1)],
        environment="production",
        actor=Actor.for_command("tests"),
        source="junk",
        counts=counts,
        on_error=errors.append,
    )
    assert counts.received == len(rows) == counts.created + counts.updated + counts.unchanged + counts.refused
    assert len({error.row for error in errors}) == counts.refused
    json.dumps([error.message + error.column for error in errors], ensure_ascii=False).encode()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
def test_any_bytes_are_rows_bad_rows_or_unreadable(content):
    for read in (read_csv, read_ndjson):
        for start in (b"", b"miner,at,hashrate\n"):
            try:
                rows = list(read(BytesIO(start + content), HASHRATE))
            except Unreadable as error:
                str(error).encode()
            else:
                assert all(row.wrong or isinstance(row.values, dict) for row in rows)
