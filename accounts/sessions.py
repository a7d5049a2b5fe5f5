"""The browsers that a person is signed in with: recorded at sign-in, seen now and then, listed, ended.

The truth is Django's session table; a `SignedInSession` says what people need to recognise a session by.
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.client_ip import client_ip
from accounts.models import SignedInSession, User

SEEN_EVERY = timedelta(minutes=5)
USER_AGENT_LENGTH = 300

# When this process last wrote that a session was seen. The UPDATE decides; this only spares it.
_seen: dict[str, float] = {}
_SEEN_LENGTH = 10_000


def begin(request: HttpRequest, user: User) -> SignedInSession:
    """Record that ``user`` signed in with the request's session."""
    forget_dead(user)
    return SignedInSession.objects.create(
        user=user,
        session_key=request.session.session_key or "",
        address=client_ip(request),
        user_agent=request.headers.get("User-Agent", "").replace("\0", "")[:USER_AGENT_LENGTH],
    )


def seen(request: HttpRequest) -> None:
    """Note that the request's session is in use, at most every SEEN_EVERY."""
    key = request.session.session_key
    now = time.monotonic()
    if key is None or now - _seen.get(key, -SEEN_EVERY.total_seconds()) < SEEN_EVERY.total_seconds():
        return
    if len(_seen) >= _SEEN_LENGTH:
        _seen.clear()
    _seen[key] = now
    at = timezone.now()
    SignedInSession.objects.filter(session_key=key, last_seen_at__lte=at - SEEN_EVERY).update(
        last_seen_at=at, address=client_ip(request)
    )


def moved(before: str | None, session: SessionBase) -> None:
    """Follow a session whose key was changed (``cycle_key``)."""
    SignedInSession.objects.filter(session_key=before or "").update(session_key=session.session_key)


def left(session: SessionBase) -> None:
    """Forget the session that is about to end."""
    SignedInSession.objects.filter(session_key=session.session_key or "").delete()


def forget_dead(user: User) -> None:
    """Drop what is recorded of sessions that ran out or are gone."""
    recorded = SignedInSession.objects.filter(user=user)
    alive = Session.objects.filter(session_key__in=recorded.values("session_key"), expire_date__gt=timezone.now())
    recorded.exclude(session_key__in=list(alive.values_list("session_key", flat=True))).delete()


def end(user: User, sessions: list[SignedInSession], *, actor: audit.Actor) -> int:
    """Sign ``user`` out of ``sessions`` and return how many these were. Needs no code: stopping must be quick."""
    keys = [session.session_key for session in sessions if session.user_id == user.pk]
    with transaction.atomic():
        ended, _by_model = SignedInSession.objects.filter(user=user, session_key__in=keys).delete()
        Session.objects.filter(session_key__in=keys).delete()
        if ended:
            audit.record("sessions.ended", actor=actor, target=user, count=ended)
    return ended


def end_others(user: User, current: str | None, *, actor: audit.Actor) -> int:
    """Sign ``user`` out everywhere but in the session ``current``."""
    return end(user, list(user.signed_in_sessions.exclude(session_key=current or "")), actor=actor)
