"""Changes of rows, as the audit trail tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models


def set_values(row: models.Model, values: Mapping[str, Any]) -> dict[str, dict[str, str | None]]:
    """Set ``values`` on ``row``, which is not saved; return what changed by it, as the audit trail tells it."""
    changes = {}
    for name, value in values.items():
        old = getattr(row, name)
        if value != old:
            changes[name] = {"from": _plain(old), "to": _plain(value)}
            setattr(row, name, value)
    return changes


def _plain(value: Any) -> str | None:
    if isinstance(value, models.Model):
        value = value.pk
    return None if value is None else str(value)
