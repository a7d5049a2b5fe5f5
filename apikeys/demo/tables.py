"""The demo's people and keys as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from apikeys.demo.keys import SeededKey
from apikeys.demo.people import Code, SeededPerson

CODES_NOTE = "Each code works once. For fresh ones run: make codes"


def people(rows: Sequence[SeededPerson]) -> str:
    """Who there is, with passwords and the codes of this moment."""
    return table(
        ["ACCOUNT", "ROLE", "E-MAIL", "PASSWORD", "CODE", "VALID FOR"],
        [[person.account or "–", person.role, person.email, person.password, *code_cells(person)] for person in rows],
    )


def codes(rows: Sequence[SeededPerson]) -> str:
    return table(
        ["ROLE", "E-MAIL", "CODE", "VALID FOR"], [[person.role, person.email, *code_cells(person)] for person in rows]
    )


def keys(rows: Sequence[SeededKey]) -> str:
    return table(
        ["KEY", "ENVIRONMENT", "ID", "SECRET (shown once)"],
        [[seeded.key.name, seeded.key.environment, seeded.key.key_id, seeded.secret] for seeded in rows],
    )


def code_cells(person: SeededPerson) -> list[str]:
    code: Code = person.code()
    if code.spent:
        return ["used", f"next in {code.seconds_left} s"]
    return [code.text, f"{code.seconds_left} s"]


def table(head: list[str], rows: list[list[str]]) -> str:
    """Columns as wide as their widest cell, two spaces apart."""
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [head, *rows]
    )
