"""Audit trails to tamper with, and the SQL that does."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction

from accounts.audit import Actor, record
from accounts.models import Account, AuditEvent

OLGA = Actor(name="Olga", via="web", address="192.0.2.1")


def fill(account: Account | None, count: int, actor: Actor = OLGA) -> list[AuditEvent]:
    """``count`` events in the chain of ``account``, or in the pool's own."""
    with transaction.atomic():
        return [record("key.issued", actor=actor, account=account, target=account, step=n + 1) for n in range(count)]


def run(sql: str, *values: Any) -> int:
    """Run ``sql``, as somebody does who has the database and not the master keys; return how many rows it met."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return int(cursor.rowcount)


def column(name: str, value: Any) -> Any:
    """``value`` as the database writes it in this column of an event."""
    field = AuditEvent._meta.get_field(name)
    return field.get_db_prep_save(value, connection)
