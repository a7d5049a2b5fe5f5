"""Step-up: one fresh second factor for one action, once: a code, or a grant that a passkey wrote."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django_otp_webauthn.models import WebAuthnCredential

from accounts import second_factor
from accounts.models import SpentConfirmation, User

LIFETIME = timedelta(seconds=60)
#: How long the changes of one confirmed bulk operation may take.
BATCH_LIFETIME = timedelta(minutes=15)
#: What a form carries in place of a code after a passkey's ceremony: the grant itself stays in the session.
PASSKEY = "passkey"
GRANT = "passkey_grant"

_session: ContextVar[SessionBase | None] = ContextVar("step_up_session", default=None)


@dataclass(frozen=True)
class StepUp:
    """Proof that ``user_id`` confirmed ``action`` with a second factor at ``at``. Made by confirm() alone."""

    user_id: int
    action: str
    nonce: str
    at: datetime = field(default_factory=timezone.now)
    lifetime: timedelta = LIFETIME

    def covers(self, user_id: int, action: str) -> bool:
        return self.user_id == user_id and self.action == action and timezone.now() - self.at <= self.lifetime

    def for_batch(self) -> StepUp:
        """This proof for a form that confirmed many changes at once, whose last may come after a minute."""
        return replace(self, lifetime=BATCH_LIFETIME)


def new_nonce() -> str:
    """A name for one rendering of one form: what makes its confirmation single-use."""
    return secrets.token_urlsafe(18)


@contextmanager
def within(session: SessionBase) -> Iterator[None]:
    """Name the session that the request came in: the only one whose grants confirm its forms."""
    token = _session.set(session)
    try:
        yield
    finally:
        _session.reset(token)


def confirm(user: User, code: str, *, action: str, nonce: str) -> StepUp:
    """Spend ``code``, or the passkey's grant that it stands for, on ``action`` and return the proof.

    Raises second_factor.CodeRefused, or second_factor.AlreadyConfirmed when this form was confirmed before.
    """
    if code == PASSKEY:
        spend_grant(user, action=action, nonce=nonce)
    else:
        second_factor.verify(user, code, action=action, nonce=nonce)
    return StepUp(user_id=user.pk, action=action, nonce=nonce)


def grant(user: User, passkey: WebAuthnCredential, *, action: str, nonce: str) -> None:
    """Write down in this session that ``passkey`` confirmed ``action`` of the form named ``nonce`` just now."""
    session = _session.get()
    if session is None:
        raise RuntimeError("A grant belongs to the session of a request.")
    session[GRANT] = {"user": user.pk, "passkey": passkey.pk, "action": action, "nonce": nonce, "at": time.time()}


def spend_grant(user: User, *, action: str, nonce: str) -> WebAuthnCredential:
    """Spend this session's grant for exactly this action and form, and return the passkey behind it.

    Single use across workers: the nonce is remembered under the lock that codes are spent under.

    Raises second_factor.CodeRefused, or second_factor.AlreadyConfirmed.
    """
    session = _session.get()
    passkey: WebAuthnCredential | None = None
    with transaction.atomic(durable=True):
        locked = User.objects.select_for_update().get(pk=user.pk)
        second_factor.refuse_repeat(locked, nonce)
        written = session.get(GRANT) if session is not None else None
        if (
            written
            and nonce
            and locked.is_active
            and (written["user"], written["action"], written["nonce"]) == (locked.pk, action, nonce)
            and time.time() - written["at"] <= LIFETIME.total_seconds()
        ):
            # A passkey that was removed meanwhile confirms nothing.
            passkey = WebAuthnCredential.objects.filter(pk=written["passkey"], user=locked, confirmed=True).first()
        if passkey is not None:
            second_factor.remember(locked, nonce, action)
    if passkey is None:
        raise second_factor.CodeRefused(
            _("The passkey’s confirmation has run out or was for something else. Use it again.")
        )
    if session is not None:
        session.pop(GRANT, None)
    return passkey


def was_confirmed(user: User, nonce: str) -> bool:
    """Whether the form that carries ``nonce`` was confirmed before: what it asked for is done, or being done."""
    return SpentConfirmation.objects.filter(user=user, nonce=nonce).exists()
