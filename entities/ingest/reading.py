"""Taking CSV and NDJSON apart, line by line: one bad line spoils no other, and no line is too long for the memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from entities.ingest.columns import Invalid, show
from entities.ingest.kinds import RowKind

MAX_LINE_BYTES = 64 * 1024

_BOM = b"\xef\xbb\xbf"
_OTHER_ENCODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x1f\x8b": "compressed with gzip"}


class Unreadable(Exception):
    """A file or body that can't be read as a whole; ``line`` is where, ``str()`` why."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as it came: the line, or the place in a list, from 1; its values, or why it has none."""

    number: int
    values: dict[str, Any]
    wrong: str = ""


def read_csv(source: BinaryIO, kind: RowKind) -> Iterator[RawRow]:
    """Rows of a CSV file in UTF-8, its first line naming the columns. Raises Unreadable, at the first row.

    Every row is one line: no column may hold a line break, so that an open quote can't swallow the lines after it.
    """
    header: list[str] = []
    for number, line in _lines(source):
        text = _decode(line)
        if not text.strip():
            continue
        try:
            if line is None:
                raise ValueError(_TOO_LONG)
            cells = next(csv.reader((text,), strict=True))
        except (ValueError, csv.Error) as error:
            if not header:
                raise Unreadable(f"The line that names the columns can't be read: {error}.", number) from None
            yield RawRow(number, {}, f"can't be read as CSV: {error}.")
            continue
        if not header:
            try:
                kind.check_header(cells)
            except Invalid as error:
                raise Unreadable(str(error), number) from None
            header = cells
        elif len(cells) != len(header):
            yield RawRow(number, {}, f"has {len(cells)} columns; the header has {len(header)}.")
        else:
            yield RawRow(number, dict(zip(header, cells, strict=True)))
    if not header:
        raise Unreadable("It is empty: the first line must name the columns.")


def read_ndjson(source: BinaryIO, kind: RowKind) -> Iterator[RawRow]:
    """Rows of a file with one JSON object a line, in UTF-8. Raises Unreadable, at the first row."""
    for number, line in _lines(source):
        if line is None:
            yield RawRow(number, {}, f"can't be read: {_TOO_LONG}.")
            continue
        try:
            text = line.decode()
            if not text.strip():
                continue
            values = _decoder.decode(text)
        except UnicodeDecodeError:
            yield RawRow(number, {}, "is not in UTF-8.")
        except RecursionError:
            yield RawRow(number, {}, "is nested too deeply.")
        except ValueError as error:
            yield RawRow(number, {}, f"is not JSON: {error}.")
        else:
            yield raw_row(number, values)


def read_list(rows: list[Any]) -> Iterator[RawRow]:
    """Rows of a JSON array that was read already."""
    return (raw_row(number, values) for number, values in enumerate(rows, start=1))


def raw_row(number: int, values: Any) -> RawRow:
    if isinstance(values, dict):
        return RawRow(number, values)
    return RawRow(number, {}, f"is {show(values)}; give an object with the columns’ names.")


#: By the end of a file's name.
READERS: dict[str, Callable[[BinaryIO, RowKind], Iterator[RawRow]]] = {"csv": read_csv, "ndjson": read_ndjson}

_TOO_LONG = f"it is longer than {MAX_LINE_BYTES:,} bytes"


def _lines(source: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines from 1; None for one that is too long. Raises Unreadable for other encodings."""
    number = 0
    while line := source.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            if line[:2] in _OTHER_ENCODINGS:
                raise Unreadable(f"It is {_OTHER_ENCODINGS[line[:2]]}; give plain UTF-8.")
            line = line.removeprefix(_BOM)
        if len(line) <= MAX_LINE_BYTES:
            yield number, line
            continue
        while line and not line.endswith(b"\n"):
            line = source.readline(MAX_LINE_BYTES)
        yield number, None


def _decode(line: bytes | None) -> str:
    """Text; bytes that are not UTF-8 become surrogates, which no column takes."""
    return "…" if line is None else line.decode(errors="surrogateescape")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("it names a column twice")
    return result


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
