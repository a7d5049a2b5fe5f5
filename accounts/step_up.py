"""Step-up: one fresh code for one action, once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from accounts import second_factor
from accounts.models import User

LIFETIME = timedelta(seconds=60)


@dataclass(frozen=True)
class StepUp:
    """Proof that ``user_id`` confirmed ``action`` with a second factor at ``at``. Made by confirm() alone."""

    user_id: int
    action: str
    nonce: str
    at: datetime = field(default_factory=timezone.now)

    def covers(self, user_id: int, action: str) -> bool:
        return self.user_id == user_id and self.action == action and timezone.now() - self.at <= LIFETIME


def new_nonce() -> str:
    """A name for one rendering of one form: what makes its confirmation single-use."""
    return secrets.token_urlsafe(18)


def confirm(user: User, code: str, *, action: str, nonce: str) -> StepUp:
    """Spend ``code`` for ``action`` and return the proof.

    Raises second_factor.CodeRefused, or second_factor.AlreadyConfirmed when this form was confirmed before.
    """
    second_factor.verify(user, code, action=action, nonce=nonce)
    return StepUp(user_id=user.pk, action=action, nonce=nonce)
