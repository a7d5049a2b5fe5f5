"""The demo's keys are made in a moment, and look as if they had been there for long."""

from __future__ import annotations

from datetime import datetime

from apikeys.models import ApiKey


def backdate_key(key: ApiKey, at: datetime) -> None:
    """Let ``key``, which this transaction has just issued, be of ``at``, with all of its secrets.

    Its audit event is of that moment by `audit.dated`.
    """
    key.created_at = at
    key.save(update_fields=["created_at"])
    key.secrets.update(created_at=at)
